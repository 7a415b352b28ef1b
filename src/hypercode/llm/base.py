"""The words of a model call. No provider's types pass this door; ``providers.py`` alone knows theirs."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

OnText = Callable[[str], None]
"""Is told what a model says while it says it, piece by piece; together they are the reply's text."""


class ToolSpec(BaseModel):
    """A tool as a model sees it; ``parameters`` is its JSON Schema. What does not only read may have written."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    parameters: dict[str, Any]
    read_only: bool = False


class RequestedCall(BaseModel):
    """A tool call that the model asks for; ``id`` is unique in the run.

    ``malformed`` says what is wrong with arguments that were no JSON object; such a call is never carried out.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    tool: str
    arguments: dict[str, Any]
    malformed: str = ""


class Message(BaseModel):
    """One message of the history. ``tool`` messages answer the call ``call_id`` of an assistant message.

    ``failed`` marks a tool's error. ``data`` is the typed half of a tool's result, for models that are programs;
    language models read ``content``. ``opaque`` is what a provider wants back unread with its own message (signed thinking).
    """

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: list[RequestedCall] = Field(default_factory=list)
    call_id: str | None = None
    tool: str | None = None
    failed: bool = False
    data: dict[str, Any] | None = None
    opaque: str = ""


class ModelRequest(BaseModel):
    """What a model is asked: its name, the history, the tools it may ask for.

    ``run_key`` is the run's role and goal, and ``turn`` the 1-based model call in it (what a scripted model answers by).
    """

    model_config = ConfigDict(frozen=True)

    model: str
    messages: list[Message]
    tools: list[ToolSpec]
    run_key: str
    turn: int


class ModelReply(BaseModel):
    """What the model answered. ``cost_usd`` None means: no price is known for it.

    ``opaque`` is to be sent back with this reply's message, see ``Message``.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    calls: list[RequestedCall] = Field(default_factory=list)
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    opaque: str = ""


class Most(BaseModel):
    """The most that a request can take; ``cost_usd`` None means: no price is known for it."""

    model_config = ConfigDict(frozen=True)

    tokens: int
    cost_usd: float | None


class Model(Protocol):
    """Anything that answers a request; raises ModelFailed with a hint."""

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """Answer one request; with ``on_text`` the text is told as it comes, where the model can."""
        ...

    def most(self, request: ModelRequest) -> Most:
        """The most that answering this request can take, before it is asked."""
        ...

    async def aclose(self) -> None:
        """Give back what it holds (connections); it answers no more."""
        ...
