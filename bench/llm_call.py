"""What the model layer adds to one OpenAI-compatible call, against a bare kept-open HTTP connection.

    python -m bench.llm_call [--turns 40] [--calls 60]

A constant server on 127.0.0.1 answers; the history is a run's of read and edit calls (57 kB at 34 turns).
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from hypercode.llm.base import Message, ModelRequest, RequestedCall, ToolSpec
from hypercode.llm.failures import Endpoint
from hypercode.llm.providers import ProviderModel, provider_model
from hypercode.settings import LlmSettings

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 14_000, "completion_tokens": 1, "total_tokens": 14_001},
}


def history(turns: int) -> list[Message]:
    messages = [
        Message(role="system", content="You are a Coder. " * 60),
        Message(role="user", content="Fix it."),
    ]
    for turn in range(turns):
        call = RequestedCall(id=f"call_{turn}", tool="fs_read", arguments={"path": f"src/file_{turn}.py"})
        messages.append(Message(role="assistant", content="I look at the next file.", calls=[call]))
        text = f'{turn:4d} def f(x):\n        return x + 1  # "quoted"\n' * 27
        messages.append(Message(role="tool", content=text, call_id=call.id, tool=call.tool))
    return messages


@asynccontextmanager
async def constant_server():
    body = json.dumps(ANSWER).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    seen: list[bytes] = []
    handlers: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(headers.split(b"content-length:")[1].split(b"\r\n")[0])
                seen[:] = [await reader.readexactly(length)]
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen
    server.close()
    for handler in handlers:
        handler.cancel()


async def median_ms(call: Callable[[], Awaitable[Any]], calls: int) -> float:
    for _ in range(5):
        await call()
    times: list[float] = []
    for _ in range(calls):
        start = time.perf_counter()
        await call()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


async def measure(turns: int, calls: int) -> None:
    tool = ToolSpec(name="fs_read", description="Read.", parameters={"type": "object", "properties": {}})
    request = ModelRequest(model="m", messages=history(turns), tools=[tool], run_key="r", turn=1)
    async with constant_server() as (url, seen):
        settings = LlmSettings(base_url=url)
        ours = provider_model("openai-compatible", "m", settings)
        http = httpx2.AsyncClient()
        client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)
        wire = OpenAIChatModel("m", provider=OpenAICompatibleProvider("bench", openai_client=client))
        stock = ProviderModel(wire, Endpoint("openai-compatible", "m", url, ""), settings, http)
        await ours.complete(request)
        body = json.loads(seen[0])
        async with httpx2.AsyncClient() as http:
            bare = await median_ms(lambda: http.post(f"{url}/chat/completions", json=body), calls)
        own = await median_ms(lambda: ours.complete(request), calls)
        library = await median_ms(lambda: stock.complete(request), calls)
        await ours.aclose()
        await stock.aclose()
        size = len(seen[0]) / 1000
    print(f"history {size:.0f} kB: bare {bare:.2f} ms, ours {own:.2f} ms ({own / bare:.1f}x), ", end="")
    print(f"library's own client {library:.2f} ms ({library / bare:.1f}x)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=34)
    parser.add_argument("--calls", type=int, default=60)
    options = parser.parse_args()
    asyncio.run(measure(options.turns, options.calls))


if __name__ == "__main__":
    main()
