"""What a provider's model says is heard while it says it, and the reply is the same as a whole one."""

import json
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.fixtures.model_server import Fault, ModelServer, serving

from hypercode.domain.errors import ModelFailed
from hypercode.llm.base import Message, ModelReply, ModelRequest, ToolSpec
from hypercode.llm.models import resolve
from hypercode.llm.scripted import ScriptedModel, parse_script
from hypercode.settings import LlmSettings

pytestmark = pytest.mark.anyio
PROVIDERS = ["openai:gpt-5", "openai-compatible:local", "ollama:qwen3", "anthropic:claude-sonnet-5-5"]
SCRIPT = parse_script(
    """
turns:
  - say: "I look at ü first,\\n then at the rest."
    calls:
      - {tool: fs_read, arguments: {path: a.py}}
      - {tool: fs_read, arguments: {path: ü.py, max_lines: 3}}
""",
    "script",
)
TOOL = ToolSpec(
    name="fs_read",
    description="Read.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}}},
)
MESSAGES = [Message(role="system", content="You are a Coder."), Message(role="user", content="Fix it.")]


async def ask(name: str, server: ModelServer, heard: list[str] | None, **more: Any) -> ModelReply:
    base_url = server.url if name.startswith("anthropic") else server.base_url
    model = resolve(name, LlmSettings(base_url=base_url, api_key=SecretStr("k"), **more))
    request = ModelRequest(model=name, messages=MESSAGES, tools=[TOOL], run_key="run", turn=1)
    try:
        with anyio.fail_after(20):
            return await model.complete(request, None if heard is None else heard.append)
    finally:
        await model.aclose()


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_streamed_reply_is_the_whole_one_and_its_words_were_heard(name: str) -> None:
    heard: list[str] = []
    async with serving(SCRIPT) as server:
        whole = await ask(name, server, None)
        streamed = await ask(name, server, heard)
        assert [bool(body.get("stream")) for body in server.requests] == [False, True]
        # All but what asks for a stream is the same on the wire.
        asked = {key: value for key, value in server.requests[1].items() if not key.startswith("stream")}
        assert asked == {
            key: value for key, value in server.requests[0].items() if not key.startswith("stream")
        }
    assert "".join(heard) == streamed.text
    assert len(heard) > 5
    assert (streamed.text, streamed.calls, streamed.model) == (whole.text, whole.calls, whole.model)
    assert streamed.tokens_out == whole.tokens_out > 0
    assert streamed.tokens_in > 50


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_stream_that_breaks_off_is_a_failure_that_may_be_tried_again(name: str) -> None:
    heard: list[str] = []
    async with serving(SCRIPT) as server:
        server.cuts.append(4)
        with pytest.raises(ModelFailed) as failed:
            await ask(name, server, heard)
        assert failed.value.transient, failed.value.message
        again: list[str] = []
        reply = await ask(name, server, again)
    assert heard
    assert "".join(again) == reply.text


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("fault", "words", "transient"),
    [
        (Fault(401, b'{"error": {"message": "bad key"}}'), "refused the API key", False),
        (Fault(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "17"}), "17 s", True),
        (Fault(200, b"<html>hello</html>", media_type="text/html"), "can't be used", True),
        (Fault(200, json.dumps({"choices": 3}).encode()), "can't be used", True),
        (Fault(delay_s=30), "did not answer within", True),
    ],
)
async def test_failures_are_the_same_as_without_a_stream(
    name: str, fault: Fault, words: str, transient: bool
) -> None:
    async with serving(SCRIPT) as server:
        server.faults.append(fault)
        with pytest.raises(ModelFailed, match=words) as failed:
            await ask(name, server, [], timeout_s=1.0)
    assert failed.value.transient is transient


async def test_a_script_speaks_over_its_delay_and_at_once_without_one() -> None:
    script = parse_script('turns: [{say: "one two  three", delay_s: 0.02}, {say: "at once"}]', "script")
    for turn, pieces in ((1, ["one", " two", "  three"]), (2, [])):
        heard: list[str] = []
        request = ModelRequest(model="m", messages=MESSAGES, tools=[], run_key="", turn=turn)
        await ScriptedModel(script).complete(request, heard.append)
        assert heard == pieces
