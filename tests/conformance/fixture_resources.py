"""The suite's resources, prompts and completions. The platform has no prompts; these live in the profile alone."""

import json
import re
from collections.abc import Callable
from typing import Any

from mcp import MCPError, types
from mcp.server.lowlevel import Server
from tests.conformance.exchange import Context
from tests.conformance.fixture_questions import form
from tests.conformance.fixture_tools import IMAGE, PNG, embedded

_PRIVATE: dict[str, Any] = {"ttl_ms": 0, "cache_scope": "private"}
_TEMPLATE = re.compile(r"test://template/([^/]+)/data")
_TEXTS = {"test://static-text": "Static text.", "test://watched-resource": "Watched."}


async def list_resources(_: Context, __: Any) -> types.ListResourcesResult:
    uris = [*_TEXTS, "test://static-binary"]
    found = [types.Resource(name=uri.removeprefix("test://"), uri=uri) for uri in uris]
    return types.ListResourcesResult(resources=found, **_PRIVATE)


async def list_templates(_: Context, __: Any) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(name="template", uri_template="test://template/{id}/data")
    return types.ListResourceTemplatesResult(resource_templates=[template], **_PRIVATE)


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[_contents(str(params.uri))], **_PRIVATE)


def _contents(uri: str) -> types.TextResourceContents | types.BlobResourceContents:
    if uri == "test://static-binary":
        return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    if uri in _TEXTS:
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=_TEXTS[uri])
    if match := _TEMPLATE.fullmatch(uri):
        text = json.dumps({"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
    raise MCPError(types.INVALID_PARAMS, "there is no such resource", {"uri": uri})


Answers = dict[str, str]


def _text(text: str) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))


def _with_arguments(given: Answers) -> list[types.PromptMessage]:
    return [_text(f"arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")]


def _with_resource(given: Answers) -> list[types.PromptMessage]:
    content = embedded(given["resourceUri"], "Embedded resource content.")
    return [types.PromptMessage(role="user", content=content), _text("Please process the resource above.")]


PROMPTS: dict[str, tuple[tuple[str, ...], Callable[[Answers], list[types.PromptMessage]]]] = {
    "test_simple_prompt": ((), lambda _: [_text("This is a simple prompt for testing.")]),
    "test_prompt_with_arguments": (("arg1", "arg2"), _with_arguments),
    "test_prompt_with_embedded_resource": (("resourceUri",), _with_resource),
    "test_prompt_with_image": (
        (),
        lambda _: [types.PromptMessage(role="user", content=IMAGE), _text("Please analyse the image above.")],
    ),
    "test_input_required_result_prompt": (
        (),
        lambda given: [_text(f"In the context of {given['context']}.")],
    ),
}


async def list_prompts(_: Context, __: Any) -> types.ListPromptsResult:
    prompts = [
        types.Prompt(
            name=name,
            description=f"Fixture {name}.",
            arguments=[types.PromptArgument(name=word, required=True) for word in words],
        )
        for name, (words, _) in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=prompts, **_PRIVATE)


async def get_prompt(
    _: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    if params.name not in PROMPTS:
        raise MCPError(types.INVALID_PARAMS, "there is no such prompt")
    given = dict(params.arguments or {})
    if params.name == "test_input_required_result_prompt":
        answer = (params.input_responses or {}).get("user_context")
        if answer is None:
            question = form("What context should the prompt use?", context="string")
            return types.InputRequiredResult(input_requests={"user_context": question})
        given["context"] = str((getattr(answer, "content", None) or {}).get("context"))
    return types.GetPromptResult(messages=PROMPTS[params.name][1](given))


async def complete(_: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    matching = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    return types.CompleteResult(
        completion=types.Completion(values=matching, total=len(matching), has_more=False)
    )


async def nothing(_: Context, __: Any) -> types.EmptyResult:
    return types.EmptyResult()


def register(server: Server[dict[str, Any]]) -> None:
    """Add the handlers to a server of ours."""
    paged = types.PaginatedRequestParams
    server.add_request_handler("resources/list", paged, list_resources)
    server.add_request_handler("resources/templates/list", paged, list_templates)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read_resource)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, nothing)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, nothing)
    server.add_request_handler("prompts/list", paged, list_prompts)
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, get_prompt)
    server.add_request_handler("completion/complete", types.CompleteRequestParams, complete)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, nothing)
