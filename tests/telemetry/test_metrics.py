"""How work is timed: every way out of a block is an outcome of its own, and none is lost."""

import asyncio

import pytest
from anyio import fail_after
from prometheus_client import CollectorRegistry, Counter, Histogram

from hypercode.telemetry.metrics import begin_at_zero, timed

pytestmark = pytest.mark.anyio


async def test_each_way_out_is_counted_once() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("work_seconds", "Work.", ["kind", "outcome"], registry=registry)
    started = asyncio.Event()

    async def cancelled() -> None:
        with timed(histogram, "a"):
            started.set()
            await asyncio.Event().wait()

    with timed(histogram, "a"):
        pass
    with timed(histogram, "a", done="built") as timing:
        timing.outcome = "cached"
    with pytest.raises(KeyError), timed(histogram, "a"):
        raise KeyError
    task = asyncio.create_task(cancelled())
    with fail_after(5):
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
    counted = {
        outcome: registry.get_sample_value("work_seconds_count", {"kind": "a", "outcome": outcome})
        for outcome in ("done", "cached", "failed", "cancelled", "built")
    }
    assert counted == {"done": 1, "cached": 1, "failed": 1, "cancelled": 1, "built": None}


def test_a_series_that_begins_at_zero_is_there_before_anything_happens() -> None:
    registry = CollectorRegistry()
    counter = Counter("calls", "Calls.", ["tool", "code"], registry=registry)
    begin_at_zero(counter, ["read", "write"], ["OK"])
    for tool in ("read", "write"):
        assert registry.get_sample_value("calls_total", {"tool": tool, "code": "OK"}) == 0
