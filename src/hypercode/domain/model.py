"""Which models a person can choose: the names the platform knows, and what each still needs."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

BUILTIN_REPAIR = "builtin/repair"

_KEYED = (
    ("openai", "OpenAI", "gpt-5.6", ("OPENAI_API_KEY",)),
    ("anthropic", "Anthropic", "claude-sonnet-5-5", ("ANTHROPIC_API_KEY",)),
    ("google", "Google Gemini", "gemini-3.5-pro", ("GEMINI_API_KEY",)),
)


class ModelInfo(BaseModel):
    """A choice: ``available`` is False when ``note`` names what is missing. ``name`` may end in an example."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    available: bool
    note: str


def model_catalogue(
    environ: Mapping[str, str], *, base_url: str | None, has_key: bool, preferred: str | None = None
) -> list[ModelInfo]:
    """Return what a worker could reach, the preferred model first; nothing is asked for over the network."""
    models: list[ModelInfo] = []
    if preferred is not None:
        models.append(
            ModelInfo(name=preferred, label=preferred, available=True, note="The default of this platform.")
        )
    for provider, label, example, variables in _KEYED:
        keyed = has_key or any(environ.get(variable) for variable in variables)
        note = "Any of its models can be named." if keyed else f"Set {variables[0]} for the worker."
        models.append(ModelInfo(name=f"{provider}:{example}", label=label, available=keyed, note=note))
    ollama = "Set OLLAMA_HOST for the worker; the model's context should hold 32k tokens or more."
    models.append(
        ModelInfo(
            name="ollama:qwen3-coder", label="Ollama", available=bool(environ.get("OLLAMA_HOST")), note=ollama
        )
    )
    where = (
        f"Asked for at {base_url}."
        if base_url
        else "Set HYPERCODE_LLM__BASE_URL, such as http://localhost:8000/v1."
    )
    models.append(
        ModelInfo(
            name="openai-compatible:NAME",
            label="Another OpenAI-compatible server",
            available=False,
            note=f"{where} Name a model of it with HYPERCODE_LLM__DEFAULT_MODEL=openai-compatible:NAME.",
        )
    )
    return models
