"""``hypercode task bisect``."""

import json
import shlex
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.task.platform import with_platform
from hypercode.cli.task.target import AsJson, Target
from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.platform_api.client import PlatformClient
from hypercode.platform_api.snapshots import SnapshotChecked
from hypercode.runs.bisecting import Found, Step, checker, first_broken
from hypercode.store.runs import image_of_run
from hypercode.store.snapshots import snapshots_of
from hypercode.store.tables import RunRow

Check = Annotated[str, typer.Option("--check", help="The command; exit code 0 means that nothing is broken.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, max=7200, help="Seconds that one check may take.")
]


def bisect(target: Target, check: Check, timeout: Timeout = 900.0, as_json: AsJson = False) -> None:
    """Find the first step of a run whose snapshot breaks a check.

    The check runs on copies of snapshots, each in a fresh container of the run's environment without network; the
    run's own workspace is not touched, and the run may have ended. A check that does not end in time counts as broken.
    A shell line needs a shell: --check "sh -c '…'". Exit code 0: a step was found or none is to blame; 1: broken at
    the start.
    """
    argv = _argv(check)

    async def read(session: AsyncSession, run: RunRow) -> tuple[str, str, list[Step]]:
        rows = await snapshots_of(session, run.id)
        image = await image_of_run(session, run.id)
        if not rows or image is None:
            raise NotFound("This run has no snapshots.", hint="They go when a run is archived.")
        steps = [Step(row.seq, row.tool, row.step_key, row.snapshot_id, row.tree) for row in rows]
        return run.id, image, steps

    def say(step: Step, done: SnapshotChecked) -> None:
        word = "timed out" if done.timed_out else "passes" if done.exit_code == 0 else "fails"
        typer.echo(f"{_named(step)}: {word} ({done.duration_ms / 1000:.1f} s)", err=True)

    async def work(client: PlatformClient, read: tuple[str, str, list[Step]]) -> tuple[str, int, Found]:
        run_id, image, steps = read
        passes = checker(client, run_id, image, argv, timeout, say)
        return run_id, len(steps), await first_broken(steps, passes)

    run_id, number, found = with_platform(target, read, work)
    if as_json:
        typer.echo(json.dumps(_told(run_id, number, found)))
    else:
        typer.echo(_said(found))
    if found.reason == "broken_at_start":
        raise typer.Exit(1)


def _argv(check: str) -> list[str]:
    try:
        argv = shlex.split(check)
    except ValueError as error:
        raise InvalidArgument(f"--check can't be read: {error}") from error
    if not argv:
        raise InvalidArgument("--check is empty")
    return argv


def _named(step: Step) -> str:
    if not step.tool:
        return f"event {step.seq} (start)"
    return f"event {step.seq} (step {_call(step)}, {step.tool})"


def _call(step: Step) -> str:
    return step.step_key.removeprefix("tool:").removesuffix(":completed")


def _told(run_id: str, snapshots: int, found: Found) -> dict[str, object]:
    def step(each: Step | None) -> dict[str, object] | None:
        if each is None:
            return None
        return {"seq": each.seq, "tool": each.tool, "step": _call(each), "snapshot_id": each.snapshot_id}

    return {
        "run_id": run_id,
        "reason": found.reason,
        "broken": step(found.step),
        "before": step(found.before),
        "snapshots": snapshots,
        "checks": found.checks,
    }


def _said(found: Found) -> str:
    checked = f"{found.checks} check{'s' if found.checks > 1 else ''}"
    if found.reason == "never_broken":
        return f"The check passes at the start and at the end ({checked}): no step is to blame."
    if found.step is None or found.before is None:
        return "The check fails on what the run started from: no step broke it."
    return (
        f"Broken by {_named(found.step)}; it still passes after {_named(found.before)} ({checked}).\n"
        f"See: hypercode task diff … --from {found.before.seq} --to {found.step.seq}"
    )
