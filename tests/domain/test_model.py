"""The choices of models: available only where something is known to be there."""

import pytest

from hypercode.domain.model import ModelInfo, model_catalogue


def by_name(models: list[ModelInfo], start: str) -> ModelInfo:
    return next(model for model in models if model.name.startswith(start))


@pytest.mark.parametrize(
    ("environ", "start"),
    [
        ({"OPENAI_API_KEY": "k"}, "openai:"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic:"),
        ({"GEMINI_API_KEY": "k"}, "google:"),
        ({"OLLAMA_HOST": "localhost:11434"}, "ollama:"),
    ],
)
def test_a_key_makes_its_provider_available_and_no_other(environ: dict[str, str], start: str) -> None:
    available = [m.name for m in model_catalogue(environ, base_url=None, has_key=False) if m.available]
    assert [name.startswith(start) for name in available] == [True]


def test_what_is_missing_is_named() -> None:
    models = model_catalogue({}, base_url=None, has_key=False)
    assert not any(model.available for model in models)
    assert "OPENAI_API_KEY" in by_name(models, "openai:").note
    assert "HYPERCODE_LLM__BASE_URL" in by_name(models, "openai-compatible:").note


def test_the_preferred_model_comes_first() -> None:
    models = model_catalogue({}, base_url="http://h/v1", has_key=False, preferred="openai-compatible:mine")
    assert (models[0].name, models[0].available) == ("openai-compatible:mine", True)
