"""Which step of a run broke a check: the first snapshot on which it fails, found by halving."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hypercode.domain.errors import InvalidArgument
from hypercode.platform_api.client import PlatformClient
from hypercode.platform_api.snapshots import SnapshotCheck, SnapshotChecked

NOT_STARTED = (126, 127)


@dataclass(frozen=True)
class Step:
    """What a run's workspace was after a call: the event that told of it, its tool, and the snapshot."""

    seq: int
    tool: str
    step_key: str
    snapshot_id: str
    tree: str


@dataclass(frozen=True)
class Found:
    """The first step whose snapshot breaks the check, and the last one before it that does not; None: there is none.

    ``reason`` says it in a word: "broken" by that step, "broken_at_start", or "never_broken".
    """

    reason: str
    step: Step | None
    before: Step | None
    checks: int


Passes = Callable[[Step], Awaitable[bool]]


async def first_broken(steps: Sequence[Step], passes: Passes) -> Found:
    """Find it; ``steps`` in order, the first what the run started from. Steps that changed nothing are left out."""
    kept = [step for number, step in enumerate(steps) if number == 0 or steps[number - 1].tree != step.tree]
    checks = 1
    if not await passes(kept[0]):
        return Found("broken_at_start", kept[0], None, checks)
    good, bad = 0, len(kept) - 1
    if bad > 0:
        checks += 1
    if bad == 0 or await passes(kept[bad]):
        return Found("never_broken", None, kept[bad], checks)
    while bad - good > 1:
        middle = (good + bad) // 2
        checks += 1
        if await passes(kept[middle]):
            good = middle
        else:
            bad = middle
    return Found("broken", kept[bad], kept[good], checks)


def checker(
    client: PlatformClient,
    run_id: str,
    image: str,
    argv: list[str],
    timeout_s: float,
    say: Callable[[Step, SnapshotChecked], None],
) -> Passes:
    """Return the check as it runs on a step's snapshot: on a copy, in a fresh container without network."""

    async def passes(step: Step) -> bool:
        done = await client.snapshot_check(
            SnapshotCheck(
                run_id=run_id, snapshot_id=step.snapshot_id, image=image, argv=argv, timeout_s=timeout_s
            )
        )
        if done.exit_code in NOT_STARTED:
            raise InvalidArgument(
                f"the check could not be started (exit code {done.exit_code}), so it says nothing: "
                f"{(done.stderr or done.stdout).strip()[-300:]}",
                hint="Name a command that the run's environment has.",
            )
        say(step, done)
        return done.exit_code == 0

    return passes
