import anyio
import pytest

from hypercode.domain.errors import ModelFailed
from hypercode.llm.base import ModelReply, ModelRequest, OnText
from hypercode.llm.retries import complete_patiently

pytestmark = pytest.mark.anyio

REQUEST = ModelRequest(model="m", messages=[], tools=[], run_key="r", turn=1)


class Moody:
    """Fails as it is told to, then answers."""

    def __init__(self, *failures: ModelFailed) -> None:
        self.failures = list(failures)

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        if self.failures:
            raise self.failures.pop(0)
        return ModelReply(text="at last", model=request.model)

    async def aclose(self) -> None: ...


async def patiently(model: Moody) -> tuple[str, list[float]]:
    waits: list[float] = []

    async def on_wait(seconds: float, failure: ModelFailed) -> None:
        waits.append(seconds)

    with anyio.fail_after(5):
        reply = await complete_patiently(model, REQUEST, on_wait=on_wait, pauses_s=(0.0, 0.001))
    return reply.text, waits


async def test_transient_failures_are_waited_out_visibly() -> None:
    asked = ModelFailed("slow down", transient=True, retry_after_s=0.002)
    assert await patiently(Moody(ModelFailed("busy", transient=True), asked)) == ("at last", [0.0, 0.002])


async def test_other_failures_and_too_long_waits_are_raised_at_once() -> None:
    for failure in (
        ModelFailed("bad key"),
        ModelFailed("tomorrow", transient=True, retry_after_s=86_400),
    ):
        with pytest.raises(ModelFailed, match=failure.message):
            await patiently(Moody(failure))


async def test_the_last_failure_is_raised_when_the_pauses_are_used_up() -> None:
    busy = [ModelFailed(f"busy {n}", transient=True) for n in range(4)]
    with pytest.raises(ModelFailed, match="busy 2"):
        await patiently(Moody(*busy))
