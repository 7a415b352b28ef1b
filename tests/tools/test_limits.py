"""Each run calls at its own pace: too fast is slowed down, far too fast is refused, and nobody else notices."""

from pathlib import Path
from typing import Any, cast

import anyio
import httpx2
import pytest

from hypercode.domain.errors import RateLimited
from hypercode.sandbox.base import Sandboxes
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.limits import CallLimits
from hypercode.tools.registry import Registry

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    waits: list[float] = []
    limits = CallLimits(rate=8, burst=3, patience_s=0.0625, clock=clock)

    async def passes(run: str = "a") -> bool:
        try:
            async with limits.turn(run):
                return True
        except RateLimited as error:
            waits.append(error.retry_after_s)
            return False

    assert [await passes() for _ in range(4)] == [True, True, True, False]
    assert await passes("b")
    clock.now += 0.125
    assert [await passes() for _ in range(2)] == [True, False]
    clock.now += 60
    assert [await passes() for _ in range(4)] == [True, True, True, False]
    assert waits == [0.0625] * 3


async def test_who_is_ahead_of_the_pace_waits_for_its_turn() -> None:
    limits = CallLimits(rate=1000, burst=1, patience_s=5.0)
    order: list[int] = []

    async def call(number: int) -> None:
        async with limits.turn("a"):
            order.append(number)

    started = anyio.current_time()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(call, number)
    assert order == list(range(50))
    assert anyio.current_time() - started >= 0.049


async def test_running_calls_of_a_run_are_counted_until_they_end() -> None:
    limits = CallLimits(in_flight=2, patience_s=0.01)
    gate = anyio.Event()
    entered: list[str] = []

    async def hold() -> None:
        async with limits.turn("a"):
            entered.append("a")
            if len(entered) == 2:
                full.set()
            await gate.wait()

    full = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(hold)
            group.start_soon(hold)
            await full.wait()
            with pytest.raises(RateLimited, match="still going on"):
                async with limits.turn("a"):
                    pass
            async with limits.turn("b"):
                gate.set()
        async with limits.turn("a"):
            pass


async def test_a_request_that_is_too_early_is_answered_429_and_says_when(
    database: Any, keys: Any, minting: Any, new_run: Any, sockets: Path, listening: Any
) -> None:
    run = await new_run()
    app = create_app(
        database,
        cast(Sandboxes, None),
        keys,
        Registry([]),
        rules=CallRules(limits=CallLimits(rate=0.001, burst=1)),
    ).mcp
    path = sockets / "tools.sock"
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {
        "Authorization": f"Bearer {minting.token(run)}",
        "Accept": "application/json, text/event-stream",
    }
    async with (
        listening(app, path),
        httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(path)), headers=headers) as http,
    ):
        first = await http.post("http://tools/mcp/", json=body)
        second = await http.post("http://tools/mcp/", json=body)
    assert first.status_code != 429
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) > 900
    said = second.json()
    assert (said["code"], said["retryable"]) == ("RATE_LIMITED", True)
    assert said["retry_after_s"] > 900
