"""Language models of providers, through pydantic-ai's request layer. The only file that imports pydantic_ai."""

import importlib
import os
from typing import Any

import httpx2
from pydantic import ValidationError
from pydantic_ai import exceptions as wire_errors
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as WireRequest
from pydantic_ai.models import Model as WireModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from hypercode.domain.errors import InvalidArgument, ModelFailed
from hypercode.llm.base import Message, ModelReply, ModelRequest, Most, OnText, RequestedCall, ToolSpec
from hypercode.llm.cost import Counts, cost_usd, most_usd
from hypercode.llm.failures import Endpoint
from hypercode.llm.sizes import Sizes
from hypercode.settings import LlmSettings

KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "ollama": "OLLAMA_API_KEY",
    "openai-compatible": "HYPERCODE_LLM__API_KEY",
}
BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "ollama": "http://localhost:11434/v1",
}
# What the libraries raise when a server's JSON lacks the fields they reach into, besides their own error.
UNUSABLE = (wire_errors.UnexpectedModelBehavior, TypeError, AttributeError, LookupError, ValueError)
KEYLESS = {"ollama", "openai-compatible"}


def provider_model(provider: str, name: str, settings: LlmSettings) -> "ProviderModel":
    """Return a model of a provider; raises ModelFailed without a key or library, InvalidArgument without a URL."""
    endpoint = _endpoint(provider, name, settings)
    if not endpoint.key and provider not in KEYLESS:
        raise endpoint.no_key()
    http = httpx2.AsyncClient(timeout=settings.timeout_s, follow_redirects=True)
    if provider == "anthropic":
        wire = _anthropic(endpoint, http)
    elif provider == "google":
        wire = _google(endpoint, http)
    else:
        wire = _openai(endpoint, http)
    return ProviderModel(wire, endpoint, settings, http)


def _endpoint(provider: str, name: str, settings: LlmSettings) -> Endpoint:
    base_url = settings.base_url or BASE_URLS.get(provider)
    if base_url is None:
        raise InvalidArgument(
            f"The model {provider}:{name} needs a base URL.",
            hint="Set HYPERCODE_LLM__BASE_URL, such as http://localhost:8000/v1.",
        )
    variable = KEY_VARIABLES[provider]
    given = settings.api_key.get_secret_value() if settings.api_key else ""
    return Endpoint(provider, name, base_url, variable, given or os.environ.get(variable, ""))


def _openai(endpoint: Endpoint, http: httpx2.AsyncClient) -> WireModel[Any]:
    models = importlib.import_module("pydantic_ai.models.openai")
    client = importlib.import_module("hypercode.llm.openai_client").PlainOpenAI(
        base_url=endpoint.base_url, api_key=endpoint.key or "none", max_retries=0, http_client=http
    )
    if endpoint.provider == "ollama":
        provider = importlib.import_module("pydantic_ai.providers.ollama").OllamaProvider(
            openai_client=client
        )
        return importlib.import_module("pydantic_ai.models.ollama").OllamaModel(
            endpoint.name, provider=provider
        )
    if endpoint.provider == "openai":
        provider = importlib.import_module("pydantic_ai.providers.openai").OpenAIProvider(
            openai_client=client
        )
    else:
        compatible = importlib.import_module("pydantic_ai.providers.openai_compatible")
        provider = compatible.OpenAICompatibleProvider(endpoint.provider, openai_client=client)
    return models.OpenAIChatModel(endpoint.name, provider=provider)


def _anthropic(endpoint: Endpoint, http: httpx2.AsyncClient) -> WireModel[Any]:
    client = importlib.import_module("anthropic").AsyncAnthropic(
        base_url=endpoint.base_url, api_key=endpoint.key, max_retries=0, http_client=http
    )
    provider = importlib.import_module("pydantic_ai.providers.anthropic").AnthropicProvider(
        anthropic_client=client
    )
    return importlib.import_module("pydantic_ai.models.anthropic").AnthropicModel(
        endpoint.name, provider=provider
    )


def _google(endpoint: Endpoint, http: httpx2.AsyncClient) -> WireModel[Any]:
    models = importlib.import_module("pydantic_ai.models.google")
    base_url = None if endpoint.base_url == BASE_URLS["google"] else endpoint.base_url
    providers = importlib.import_module("pydantic_ai.providers.google")
    return models.GoogleModel(
        endpoint.name,
        provider=providers.GoogleProvider(api_key=endpoint.key, base_url=base_url, http_client=http),
    )


class ProviderModel:
    """One model of one provider. It asks once; waiting and asking again is the caller's, who can show it."""

    def __init__(
        self, wire: WireModel[Any], endpoint: Endpoint, settings: LlmSettings, http: httpx2.AsyncClient
    ) -> None:
        self._wire = wire
        self._http = http
        self._endpoint = endpoint
        self._settings = settings
        self._options = _options(endpoint.provider, settings)
        self._sizes = Sizes()

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """Ask the provider, for a stream where somebody listens; raises ModelFailed."""
        try:
            response = await self._response(request, on_text)
        except wire_errors.ModelRequestTimeout as error:
            raise self._endpoint.too_slow(self._settings.timeout_s) from error
        except wire_errors.ModelAPIError as error:
            raise _explained(self._endpoint, error, self._settings.timeout_s) from error
        except wire_errors.UserError as error:
            raise self._endpoint.rejected(str(error)) from error
        except UNUSABLE as error:
            raise self._endpoint.unusable(str(error)) from error
        reply = self._reply(response)
        self._sizes.counted(request, reply.tokens_in)
        return reply

    def most(self, request: ModelRequest) -> Most:
        """The request's size, guessed high, and the longest answer that is asked for."""
        endpoint, tokens_out = self._endpoint, self._settings.max_output_tokens
        tokens_in = self._sizes.most(request)
        counts = Counts(tokens_in, tokens_out)
        cost = most_usd(endpoint.provider, endpoint.name, endpoint.base_url, counts, self._settings)
        return Most(tokens=tokens_in + tokens_out, cost_usd=cost)

    async def _response(self, request: ModelRequest, on_text: OnText | None) -> ModelResponse:
        messages = to_wire(request.messages)
        parameters = ModelRequestParameters(function_tools=[_tool(tool) for tool in request.tools])
        if on_text is None:
            return await model_request(
                self._wire, messages, model_settings=self._options, model_request_parameters=parameters
            )
        async with model_request_stream(
            self._wire, messages, model_settings=self._options, model_request_parameters=parameters
        ) as stream:
            parts = 0
            async for event in stream:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    # As the parts are joined in the reply.
                    on_text("\n" * (parts > 0) + event.part.content)
                    parts += 1
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    on_text(event.delta.content_delta)
            return stream.get()

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self._http.aclose()

    def _reply(self, response: ModelResponse) -> ModelReply:
        calls = [
            _call(part, response.finish_reason) for part in response.parts if isinstance(part, ToolCallPart)
        ]
        texts = [part.content for part in response.parts if isinstance(part, TextPart)]
        if not calls and not texts and response.finish_reason == "content_filter":
            raise self._endpoint.rejected("its content filter stopped the answer")
        endpoint, usage = self._endpoint, response.usage
        return ModelReply(
            text="\n".join(texts),
            calls=calls,
            model=response.model_name or endpoint.name,
            tokens_in=usage.input_tokens,
            tokens_out=usage.output_tokens,
            cost_usd=cost_usd(endpoint.provider, endpoint.name, endpoint.base_url, usage, self._settings),
            opaque=_opaque(response),
        )


def _options(provider: str, settings: LlmSettings) -> ModelSettings:
    options: dict[str, Any] = {
        "max_tokens": settings.max_output_tokens,
        "request_timeout": settings.timeout_s,
        "timeout": settings.timeout_s,
    }
    if provider == "openai":
        options["parallel_tool_calls"] = True
    if provider == "anthropic":
        options["anthropic_cache"] = True
    return ModelSettings(**options)


def _tool(tool: ToolSpec) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name, description=tool.description, parameters_json_schema=tool.parameters
    )


def to_wire(messages: list[Message]) -> list[ModelMessage]:
    """Our history in pydantic-ai's words; what stands between two replies becomes one request."""
    wire: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for message in messages:
        if message.role != "assistant":
            parts.append(_request_part(message))
            continue
        if parts:
            wire.append(WireRequest(parts=parts))
            parts = []
        wire.append(_response(message))
    if parts:
        wire.append(WireRequest(parts=parts))
    return wire


def _request_part(message: Message) -> ModelRequestPart:
    if message.role == "system":
        return SystemPromptPart(content=message.content)
    if message.role == "user":
        return UserPromptPart(content=message.content)
    return ToolReturnPart(
        tool_name=message.tool or "",
        content=message.content,
        tool_call_id=message.call_id or "",
        outcome="failed" if message.failed else "success",
    )


def _response(message: Message) -> ModelResponse:
    if message.opaque and (kept := _kept(message)) is not None:
        return kept
    parts: list[ModelResponsePart] = [TextPart(content=message.content)] if message.content else []
    parts += [
        ToolCallPart(tool_name=call.tool, args=call.arguments, tool_call_id=call.id) for call in message.calls
    ]
    return ModelResponse(parts=parts)


def _call(part: ToolCallPart, finish_reason: str | None) -> RequestedCall:
    try:
        arguments = part.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError) as error:
        cut = (
            "the answer was cut off at its length limit; write less at once"
            if finish_reason == "length"
            else ""
        )
        fault = cut or f"{error} (got {str(part.args)[:200]!r})"
        return RequestedCall(id=part.tool_call_id, tool=part.tool_name, arguments={}, malformed=fault)
    return RequestedCall(id=part.tool_call_id, tool=part.tool_name, arguments=arguments)


def _opaque(response: ModelResponse) -> str:
    """The whole reply as its provider wants it back, when it holds signed or hidden parts; otherwise nothing."""
    hidden = any(
        isinstance(part, ThinkingPart) or getattr(part, "provider_details", None) for part in response.parts
    )
    return ModelMessagesTypeAdapter.dump_json([response]).decode() if hidden else ""


def _kept(message: Message) -> ModelResponse | None:
    """The provider's own reply, with our ids for its calls; None when it no longer fits the message."""
    try:
        (kept,) = ModelMessagesTypeAdapter.validate_json(message.opaque)
    except (ValidationError, ValueError):
        return None
    if not isinstance(kept, ModelResponse):
        return None
    calls = [part for part in kept.parts if isinstance(part, ToolCallPart)]
    if len(calls) != len(message.calls):
        return None
    for part, call in zip(calls, message.calls, strict=True):
        part.tool_call_id = call.id
    return kept


def _explained(endpoint: Endpoint, error: wire_errors.ModelAPIError, timeout_s: float) -> ModelFailed:
    """The failure in our words; the most particular class comes first."""
    detail = _detail(error)
    if isinstance(error, wire_errors.ModelTimeoutError):
        return endpoint.too_slow(timeout_s)
    if isinstance(error, wire_errors.ModelRateLimitError):
        return endpoint.rate_limited(detail, error.retry_after)
    if isinstance(error, wire_errors.ModelUnavailableError | wire_errors.ModelServerError):
        return endpoint.busy(detail, error.retry_after)
    for kind, words in (
        (wire_errors.ModelQuotaExceededError, endpoint.quota_used_up),
        (wire_errors.ModelConnectionError, endpoint.not_reached),
        (wire_errors.ModelAuthenticationError, endpoint.key_refused),
        (wire_errors.ModelNotFoundError, endpoint.no_such_model),
        (wire_errors.ModelContextWindowExceededError, endpoint.too_long),
    ):
        if isinstance(error, kind):
            return words(detail)
    refused = isinstance(error, wire_errors.ModelHTTPError | wire_errors.ModelRequestRejectedError)
    return endpoint.rejected(detail) if refused else endpoint.unusable(detail)


def _detail(error: wire_errors.ModelAPIError) -> str:
    """The provider's own sentence, where it sent one."""
    body = error.body
    for name in ("error", "message"):
        if isinstance(body, dict) and name in body:
            body = body[name]  # pyright: ignore[reportUnknownVariableType]
    status = getattr(error, "status_code", None)
    words = body if isinstance(body, str) and body else error.message
    return f"{words} (HTTP {status})" if status else words
