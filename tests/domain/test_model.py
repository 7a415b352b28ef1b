from hypercode.domain.model import ModelInfo, model_catalogue


def by_name(models: list[ModelInfo], start: str) -> ModelInfo:
    return next(model for model in models if model.name.startswith(start))


def test_what_is_missing_is_named() -> None:
    models = model_catalogue({}, base_url=None, has_key=False)
    assert by_name(models, "builtin/repair").available
    assert not by_name(models, "openai:").available
    assert "ANTHROPIC_API_KEY" in by_name(models, "anthropic:").note
    assert "HYPERCODE_LLM__BASE_URL" in by_name(models, "openai-compatible:").note


def test_keys_and_urls_make_models_available() -> None:
    models = model_catalogue({"OPENAI_API_KEY": "sk-1"}, base_url="http://gpu:8000/v1", has_key=False)
    assert by_name(models, "openai:").available
    assert not by_name(models, "anthropic:").available
    assert by_name(models, "openai-compatible:").available
    assert "sk-1" not in "".join(model.model_dump_json() for model in models)
