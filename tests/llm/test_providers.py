"""Providers over real HTTP, in the wire formats of OpenAI Chat Completions and Anthropic Messages."""

import json
import socket
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.fixtures.model_server import Fault, ModelServer, serving

from hypercode.domain.errors import InvalidArgument, ModelFailed
from hypercode.llm.base import Message, ModelReply, ModelRequest, ToolSpec
from hypercode.llm.models import resolve
from hypercode.llm.scripted import parse_script
from hypercode.settings import LlmSettings

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-123"
SCRIPT = parse_script(
    """
turns:
  - say: I look.
    calls:
      - {tool: fs_read, arguments: {path: a.py}}
      - {tool: fs_read, arguments: {path: ü.py, max_lines: 3}}
  - say: All good.
""",
    "script",
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "max_lines": {"type": "integer", "default": 400}},
    "required": ["path"],
    "additionalProperties": False,
}
TOOL = ToolSpec(name="fs_read", description="Read lines of a file.", parameters=SCHEMA)
START = [Message(role="system", content="You are a Coder."), Message(role="user", content="Fix it.")]
PROVIDERS = ["openai:gpt-5", "openai-compatible:local", "ollama:qwen3", "anthropic:claude-sonnet-5-5"]


def settings(server: ModelServer, name: str, **more: Any) -> LlmSettings:
    base_url = server.url if name.startswith("anthropic") else server.base_url
    return LlmSettings(base_url=base_url, api_key=SecretStr(KEY), **more)


async def ask(name: str, given: LlmSettings, messages: list[Message] = START) -> ModelReply:
    request = ModelRequest(model=name, messages=messages, tools=[TOOL], run_key="run", turn=1)
    model = resolve(name, given)
    try:
        with anyio.fail_after(20):
            return await model.complete(request)
    finally:
        await model.aclose()


async def failure(name: str, server: ModelServer, fault: Fault, **more: Any) -> ModelFailed:
    server.faults.append(fault)
    with pytest.raises(ModelFailed) as failed:
        await ask(name, settings(server, name, **more))
    assert KEY not in failed.value.message + failed.value.hint
    assert failed.value.hint
    return failed.value


def answered(reply: ModelReply) -> list[Message]:
    """The history after a reply whose second call failed."""
    first, second = reply.calls
    return [
        *START,
        Message(role="assistant", content=reply.text, calls=reply.calls),
        Message(role="tool", content="line 1", call_id=first.id, tool=first.tool),
        Message(
            role="tool", content="NOT_FOUND: no such file", call_id=second.id, tool=second.tool, failed=True
        ),
        Message(role="user", content="Mind the time."),
    ]


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_run_of_two_turns_over_the_wire(name: str) -> None:
    async with serving(SCRIPT) as server:
        first = await ask(name, settings(server, name))
        assert first.text == "I look."
        assert [call.arguments for call in first.calls] == [
            {"path": "a.py"},
            {"path": "ü.py", "max_lines": 3},
        ]
        assert first.tokens_in > 50
        assert first.tokens_out > 5
        second = await ask(name, settings(server, name), answered(first))
        assert (second.text, second.calls) == ("All good.", [])
        before, after = server.requests
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert json.dumps(after["tools"]) == json.dumps(before["tools"])
        check = _check_anthropic if name.startswith("anthropic") else _check_chat
        check(after, [call.id for call in first.calls])


def _check_chat(body: dict[str, Any], ids: list[str]) -> None:
    assert body["messages"][0] == {"role": "system", "content": "You are a Coder."}
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in body["messages"][2]["tool_calls"]] == ids
    assert [m["tool_call_id"] for m in body["messages"][3:5]] == ids
    assert "NOT_FOUND: no such file" in body["messages"][4]["content"]
    function = body["tools"][0]["function"]
    assert (function["name"], function["parameters"]) == ("fs_read", SCHEMA)


def _check_anthropic(body: dict[str, Any], ids: list[str]) -> None:
    assert body["system"] == "You are a Coder."
    results = body["messages"][2]["content"]
    assert [part["type"] for part in results] == ["tool_result", "tool_result", "text"]
    assert [part["tool_use_id"] for part in results[:2]] == ids
    assert [part["is_error"] for part in results[:2]] == [False, True]
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["cache_control"]["type"] == "ephemeral"


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_refused_key_names_the_variable_and_never_the_key(name: str) -> None:
    body = json.dumps(
        {"type": "error", "error": {"type": "authentication_error", "message": f"Bad key {KEY}"}}
    )
    async with serving(SCRIPT) as server:
        failed = await failure(name, server, Fault(401, body.encode()))
    assert "refused the API key" in failed.message
    assert "[key]" in failed.message
    assert "_API_KEY" in failed.hint
    assert not failed.transient


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_rate_limit_tells_how_long_to_wait_and_is_not_waited_out_in_silence(name: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}})
    async with serving(SCRIPT) as server:
        failed = await failure(name, server, Fault(429, body.encode(), {"Retry-After": "17"}))
        assert len(server.requests) == 1
    assert failed.transient
    assert failed.retry_after_s == 17
    assert "17 s" in failed.message


@pytest.mark.parametrize("name", PROVIDERS)
async def test_an_answer_that_is_none_is_a_failure_with_a_hint(name: str) -> None:
    request = ModelRequest(model=name, messages=START, tools=[TOOL], run_key="run", turn=1)
    async with serving(SCRIPT) as server:
        model = resolve(name, settings(server, name))
        for body in (b"<html>hello</html>", b'{"choices": 3}', b"{", b"{}"):
            media_type = "text/html" if body.startswith(b"<") else "application/json"
            server.faults.append(Fault(200, body, media_type=media_type))
            with anyio.fail_after(20), pytest.raises(ModelFailed) as failed:
                await model.complete(request)
            assert server.url in failed.value.message
            assert "can't be used" in failed.value.message
        await model.aclose()


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_slow_answer_is_given_up_at_the_limit(name: str) -> None:
    async with serving(SCRIPT) as server:
        failed = await failure(name, server, Fault(delay_s=30), timeout_s=0.3)
    assert "did not answer within 0.3 s" in failed.message
    assert failed.transient


async def test_errors_of_the_provider_are_told_apart() -> None:
    async def say(status: int, code: str, message: str) -> ModelFailed:
        body = json.dumps({"error": {"message": message, "code": code, "type": "t"}}).encode()
        return await failure("openai-compatible:m", server, Fault(status, body))

    async with serving(SCRIPT) as server:
        overloaded = await say(503, "x", "overloaded")
        unknown = await say(404, "model_not_found", "no model m")
        long = await say(400, "context_length_exceeded", "maximum context length is 8192 tokens")
        quota = await say(429, "insufficient_quota", "You exceeded your current quota")
        odd = await say(400, "x", "tools are not supported")
    assert overloaded.transient
    assert "no model 'm'" in unknown.message
    assert "no longer fits" in long.message
    assert "no quota left" in quota.message
    assert "tools are not supported" in odd.message
    assert not any(failed.transient for failed in (unknown, long, quota, odd))


@pytest.mark.parametrize("name", PROVIDERS)
async def test_nobody_listening_names_the_base_url(name: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(ModelFailed) as failed:
            await ask(name, LlmSettings(base_url=url, api_key=SecretStr(KEY)))
    assert url in failed.value.message
    assert ("ollama serve" in failed.value.hint) == name.startswith("ollama")


async def test_malformed_arguments_are_flagged_and_carry_no_guess() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "fs_read", "arguments": '{"path": "a'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    async with serving(SCRIPT) as server:
        for finish, said in (("tool_calls", '{"path": "a'), ("length", "cut off at its length limit")):
            server.extras = {"choices": [choice | {"finish_reason": finish}]}
            reply = await ask("openai-compatible:m", settings(server, "openai-compatible:m"))
            assert reply.calls[0].arguments == {}
            assert said in reply.calls[0].malformed


async def test_signed_thinking_goes_back_as_it_came() -> None:
    thinking = {"type": "thinking", "thinking": "hmm", "signature": "c2lnbmVk"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "fs_read", "input": {"path": "a"}}
    name = "anthropic:claude-sonnet-5-5"
    async with serving(SCRIPT) as server:
        server.extras = {"content": [thinking, use], "stop_reason": "tool_use"}
        reply = await ask(name, settings(server, name))
        renamed = [reply.calls[0].model_copy(update={"id": "call_9"})]
        history = [
            *START,
            Message(role="assistant", content=reply.text, calls=renamed, opaque=reply.opaque),
            Message(role="tool", content="x", call_id="call_9", tool="fs_read"),
        ]
        await ask(name, settings(server, name), history)
        sent = server.requests[-1]["messages"]
    assert sent[1]["content"][0] == thinking
    assert sent[1]["content"][1]["id"] == "call_9"
    assert sent[2]["content"][0]["tool_use_id"] == "call_9"


async def test_prices_come_from_the_settings_then_the_table_then_nobody() -> None:
    async with serving(SCRIPT) as server:
        priced = settings(server, "openai", input_price_per_million=1_000_000.0, output_price_per_million=0.0)
        own = await ask("openai-compatible:m", priced)
        table = await ask("openai:gpt-5", settings(server, "openai"))
        local = await ask("ollama:qwen3", settings(server, "ollama"))
        nobody = await ask("openai-compatible:m", settings(server, "openai"))
    assert own.cost_usd == own.tokens_in
    assert table.cost_usd is not None
    assert 0 < table.cost_usd < 0.1
    assert local.cost_usd == 0
    assert nobody.cost_usd is None


async def test_what_is_missing_is_named_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelFailed, match="No API key for openai") as failed:
        resolve("openai:gpt-5", LlmSettings())
    assert "OPENAI_API_KEY" in failed.value.hint
    with pytest.raises(InvalidArgument, match="needs a base URL"):
        resolve("openai-compatible:m", LlmSettings())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await resolve("openai:gpt-5", LlmSettings()).aclose()
