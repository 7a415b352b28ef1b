"""From a model's name to something that answers. Provider libraries are loaded when one is first named."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from hypercode.domain.errors import InvalidArgument, ModelFailed
from hypercode.domain.model import BUILTIN_REPAIR
from hypercode.llm.base import Model
from hypercode.llm.builtin import RepairModel
from hypercode.llm.scripted import ScriptedModel, load_script
from hypercode.settings import LlmSettings

PROVIDERS = ("openai", "anthropic", "google", "ollama", "openai-compatible")
SCRIPTED = "scripted"
NAMES_HINT = (
    "Names are builtin/repair, scripted:<file>, openai:<name>, anthropic:<name>, google:<name>, "
    "ollama:<name> and openai-compatible:<name>."
)


class _ProvidersModule(Protocol):
    def provider_model(self, provider: str, name: str, settings: LlmSettings) -> Model: ...


def resolve(name: str, settings: LlmSettings, *, scripts_from: Path | None = None) -> Model:
    """Return the model that a name means; relative scripts are looked for in ``scripts_from``.

    Raises InvalidArgument for an unknown name or a bad script, ModelFailed when a provider's library is missing.
    """
    if name == BUILTIN_REPAIR:
        return RepairModel()
    kind, _, rest = name.partition(":")
    if kind == SCRIPTED and rest:
        return ScriptedModel(load_script((scripts_from or Path()) / rest))
    if kind in PROVIDERS and rest:
        return _of_provider(kind, rest, settings)
    raise InvalidArgument(f"There is no model {name!r}.", hint=NAMES_HINT)


def provider_of(name: str) -> str:
    """Who answers for a model's name: a provider, ``builtin`` or ``scripted``; ``unknown`` for any other text."""
    kind = "builtin" if name == BUILTIN_REPAIR else name.partition(":")[0]
    return kind if kind in (*PROVIDERS, SCRIPTED, "builtin") else "unknown"


def _of_provider(kind: str, name: str, settings: LlmSettings) -> Model:
    try:
        providers = cast("_ProvidersModule", importlib.import_module("hypercode.llm.providers"))
        return providers.provider_model(kind, name, settings)
    except ImportError as error:
        raise ModelFailed(
            f"Models of {kind} need a library that is not installed.",
            hint=f"pip install 'hypercode-platform[{extra(kind)}]'",
        ) from error


def extra(provider: str) -> str:
    """The extra of our distribution that brings a provider's library."""
    return provider if provider in ("anthropic", "google") else "openai"
