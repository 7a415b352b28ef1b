"""Running a check: a fresh work tree from the platform's gitdir, a container no agent touched, then nothing."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from hypercode.domain.errors import SandboxDown, TimedOut
from hypercode.sandbox.base import CheckOutput, CheckRequest, ExecRequest, ExecResult, Profile, StartSandbox
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import check_volume
from hypercode.sandbox.relay import Relay, text_of
from hypercode.sandbox.replies import checked_reply
from hypercode.sandbox.workspaces import Workspaces
from hypercode.telemetry.metrics import CHECK_SECONDS, begin_at_zero, timed

REPORTS = "/tmp/hypercode-report"
MAX_OUTPUT = 4 * 1024 * 1024
MAX_REPORTS = 48 * 1024 * 1024


Fill = Callable[[str], Coroutine[Any, Any, None]]
First = TypeVar("First")
Second = TypeVar("Second")


async def _both(
    first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Await two at once; when one fails the other is cancelled and its own end awaited."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return one.result(), other.result()


class Checks:
    """Runs checks, each in a volume and a container of its own."""

    def __init__(self, engine: Engine, containers: Containers, workspaces: Workspaces) -> None:
        self._engine = engine
        self._containers = containers
        self._workspaces = workspaces
        begin_at_zero(CHECK_SECONDS, ["passed", "red", "timed_out", "failed"])

    async def run(self, request: CheckRequest) -> CheckOutput:
        """Check out, run, collect, remove everything."""
        with timed(CHECK_SECONDS) as timing:
            output = await self._run(request)
            timing.outcome = "timed_out" if output.timed_out else "passed" if output.exit_code == 0 else "red"
            return output

    async def _run(self, request: CheckRequest) -> CheckOutput:
        number = secrets.token_hex(12)
        volume = check_volume(number)
        labels = self._containers.labels("check", number, request.workspace_id)
        started = time.monotonic()
        try:
            await self._engine.create_volume(volume, labels)
            start = StartSandbox(
                profile=Profile.CHECK,
                owner=number,
                workspace_id=request.workspace_id,
                image=request.image,
                env=request.env,
            )
            # The container starts while its tree is being filled; nothing runs in it before that is done.
            tree, info = await _both(
                self._workspaces.checkout(request, volume),
                self._containers.start(start, tree_volume=volume),
            )
            relay = await self._containers.relay(info.sandbox_id)
            asked = ExecRequest(
                argv=request.argv, env=request.env, timeout_s=request.timeout_s, max_output=MAX_OUTPUT
            )
            done = await self._execute(relay, asked)
            reports = await self._reports(relay)
        finally:
            await asyncio.shield(self._clean_up(number, request.workspace_id, volume))
        return CheckOutput(
            exit_code=done.exit_code,
            timed_out=done.timed_out,
            stdout=done.stdout,
            stderr=done.stderr,
            reports=reports,
            tree=tree,
            image_id=info.image_id,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )

    async def on_a_copy(
        self, number: str, workspace_id: str, image: str, asked: ExecRequest, fill: Fill
    ) -> ExecResult:
        """Run a command in a fresh container on a volume that ``fill`` fills; the workspace itself may be closed."""
        volume = check_volume(number)
        try:
            await self._engine.create_volume(volume, self._containers.labels("check", number, ""))
            start = StartSandbox(profile=Profile.CHECK, owner=number, workspace_id=workspace_id, image=image)
            _filled, info = await _both(
                fill(volume), self._containers.start(start, tree_volume=volume, gitdir=False)
            )
            return await self._execute(await self._containers.relay(info.sandbox_id), asked)
        finally:
            await asyncio.shield(self._clean_up(number, workspace_id, volume))

    async def _execute(self, relay: Relay, asked: ExecRequest) -> ExecResult:
        reply = await relay.call("exec", asked.model_dump(), seconds=asked.timeout_s + 30)
        streams = {"stdout": text_of(reply, "stdout_b64"), "stderr": text_of(reply, "stderr_b64")}
        kept = {key: value for key, value in reply.items() if not key.endswith("_b64")}
        return checked_reply(ExecResult, {**kept, **streams})

    async def _reports(self, relay: Relay) -> dict[str, str]:
        """Read the report files; a check that broke its own sandbox has none."""
        try:
            reply = await relay.call("reports", {"folder": REPORTS, "limit": MAX_REPORTS}, seconds=60)
        except (SandboxDown, TimedOut):
            return {}
        files = reply.get("files")
        if not isinstance(files, dict):
            return {}
        return {str(name): str(text) for name, text in cast(dict[object, object], files).items()}

    async def _clean_up(self, number: str, workspace_id: str, volume: str) -> None:
        await self._containers.stop_of(Profile.CHECK, number, workspace_id)
        await self._engine.remove_volume(volume)
