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


def model_catalogue(environ: Mapping[str, str], *, base_url: str | None, has_key: bool) -> list[ModelInfo]:
    """Return the choices, from the environment's variables and the model settings; nothing is asked for."""
    models = [
        ModelInfo(
            name=BUILTIN_REPAIR,
            label="builtin/repair (no language model)",
            available=True,
            note="Searches small fixes in Python for a failing test. Needs no key and no network.",
        )
    ]
    for provider, label, example, variables in _KEYED:
        keyed = has_key or any(environ.get(variable) for variable in variables)
        note = "Any of its models can be named." if keyed else f"Set {variables[0]} for the worker."
        models.append(ModelInfo(name=f"{provider}:{example}", label=label, available=keyed, note=note))
    models.append(
        ModelInfo(
            name="ollama:qwen3-coder",
            label="Ollama",
            available=True,
            note=f"Asked for at {base_url or 'http://localhost:11434/v1'}; its context should hold 32k tokens or more.",
        )
    )
    note = (
        f"Asked for at {base_url}."
        if base_url
        else "Set HYPERCODE_LLM__BASE_URL, such as http://localhost:8000/v1."
    )
    models.append(
        ModelInfo(
            name="openai-compatible:NAME",
            label="Another OpenAI-compatible server",
            available=base_url is not None,
            note=note,
        )
    )
    return models
