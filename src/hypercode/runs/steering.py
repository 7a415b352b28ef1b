"""What a person tells a run, taken: a row, its event and a wake-up in one transaction. ADR 0022 tells the whole way.

What can be done without a worker is done here at once; all else is done by the worker at its next legal boundary.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import (
    Conflict,
    HyperCodeError,
    PointUnreachable,
    RunBeingCancelled,
    RunEnded,
    RunIsChild,
    RunNotEnded,
    RunNotPaused,
    RunPaused,
)
from hypercode.domain.event import CommandRequested
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus
from hypercode.domain.steering import MAX_PENDING, CommandState, NewCommand, Retry, RunCommand, Verb
from hypercode.domain.user import User
from hypercode.events import log
from hypercode.runs.attempts import Origin, begin_attempt, read_grant_key
from hypercode.runs.eras import check_point, head_of
from hypercode.runs.going_back import apply_rewinds, copy_answers
from hypercode.runs.pausing import end_pause, pause_now
from hypercode.runs.settling import settle, settle_pending_pauses
from hypercode.runs.stopping import stop
from hypercode.store.channels import RUN_CONTROL
from hypercode.store.database import wake
from hypercode.store.queue import resume_run
from hypercode.store.runs import get_task_of, locked_after_its_parent, locked_tree
from hypercode.store.steering import (
    Draft,
    add_command,
    count_pending,
    find_command,
    get_command,
    to_domain,
)
from hypercode.store.tables import RunCommandRow, RunRow


class Steering:
    """Takes commands of one person; ``keys_dir`` holds the key that new runs' grants are minted with."""

    def __init__(self, session: AsyncSession, user: User, keys_dir: Path) -> None:
        self._session = session
        self._user = user
        self._keys_dir = keys_dir

    async def give(self, run: RunRow, command: NewCommand, *, key: str | None = None) -> RunCommand:
        """Take a command to this run; the same key gives the same command. One that can't be done comes back refused."""
        command_id = None
        if key is not None:
            command_id = await self._id_of(key)
            known = await find_command(self._session, command_id)
            if known is not None:
                return self._again(known, run, command)
        run = await locked_after_its_parent(self._session, run.id)
        row = await add_command(self._session, run, self._draft(command, command_id))
        if isinstance(command, Retry) and command.from_failure:
            row.seq = await head_of(self._session, run.id)
        await self._say_requested(run, row)
        await self._carry_out(run, row, command)
        await self._session.flush()
        return to_domain(row, {self._user.id: self._user.name})

    async def _say_requested(self, run: RunRow, row: RunCommandRow) -> None:
        if run.ended_at is not None:
            return
        requested = CommandRequested(
            command_id=row.id, verb=Verb(row.verb), text=row.text, seq=row.seq, by=self._user.name
        )
        await log.append(self._session, run.id, f"command:{row.id}:requested", [requested])

    async def withdraw(self, run: RunRow, command_id: str) -> RunCommand:
        """Take back a command that waits; raises Conflict when it was settled."""
        run = await locked_after_its_parent(self._session, run.id)
        row = await get_command(self._session, run.id, command_id)
        if row.state != CommandState.REQUESTED.value:
            raise Conflict(f"The command was {row.state} already.", hint="Look at what the run did with it.")
        if row.verb == Verb.CANCEL.value:
            raise Conflict(
                "A cancel can't be taken back: the run is stopping.", hint="Retry or fork the run."
            )
        if row.verb == Verb.PAUSE.value:
            await self._unpause(run)
        await settle(self._session, run, row, CommandState.WITHDRAWN, by=(self._user.id, self._user.name))
        return to_domain(row, {self._user.id: self._user.name})

    def _draft(self, command: NewCommand, command_id: str | None) -> Draft:
        seq = getattr(command, "at_seq", None) or getattr(command, "to_seq", None)
        return Draft(command.verb, self._user.id, getattr(command, "text", ""), seq, command_id)

    async def _id_of(self, key: str) -> str:
        """Two requests with one key at the same time: the second waits here for the first to commit."""
        digest = hashlib.sha256(f"{self._user.id}\0{key}".encode()).hexdigest()
        command_id = f"cmd_{digest[:32]}"
        await self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:id))"), {"id": command_id})
        return command_id

    def _again(self, known: RunCommandRow, run: RunRow, command: NewCommand) -> RunCommand:
        if (known.run_id, known.verb, known.text) != (run.id, command.verb, getattr(command, "text", "")):
            raise Conflict(
                "This Idempotency-Key was used for another command.",
                hint="Send a fresh key for a new command.",
            )
        return to_domain(known, {self._user.id: self._user.name})

    async def _carry_out(self, run: RunRow, row: RunCommandRow, command: NewCommand) -> None:
        """Do what can be done now; what is refused is settled with the reason."""
        try:
            await self._check(run, command.verb)
            await self._doing(command.verb)(run, row)
        except Conflict as refusal:
            await self._refuse(run, row, refusal)

    async def _refuse(self, run: RunRow, row: RunCommandRow, refusal: HyperCodeError) -> None:
        await settle(self._session, run, row, CommandState.REFUSED, why=refusal)

    def _doing(self, verb: Verb) -> Callable[[RunRow, RunCommandRow], Awaitable[None]]:
        match verb:
            case Verb.RETRY:
                return self._retry
            case Verb.FORK:
                return self._fork
            case Verb.REWIND:
                return self._rewind
            case Verb.PAUSE:
                return self._pause
            case Verb.RESUME:
                return self._resume
            case Verb.CANCEL:
                return self._cancel
            case Verb.STEER | Verb.QUEUE:
                return self._wait_for_worker
            case _:
                return self._interrupt

    async def _check(self, run: RunRow, verb: Verb) -> None:
        if verb in (Verb.RETRY, Verb.FORK):
            return
        if run.ended_at is not None:
            raise RunEnded(f"The run has ended: it {run.status}.", hint="Retry or fork it.")
        if run.cancel_requested_at is not None:
            raise RunBeingCancelled(
                "The run is being stopped.", hint="Wait for its end, then retry or fork it."
            )
        words = verb in (Verb.STEER, Verb.QUEUE, Verb.INTERRUPT)
        if words and await count_pending(self._session, run.id) > MAX_PENDING:
            raise Conflict(
                f"{MAX_PENDING} commands to this run wait already.",
                hint="Withdraw some, or let it read them.",
            )

    async def _wait_for_worker(self, run: RunRow, row: RunCommandRow) -> None:
        """The words wait for the agent; no worker has to hear of them before it asks."""

    async def _interrupt(self, run: RunRow, row: RunCommandRow) -> None:
        await wake(self._session, RUN_CONTROL, run.id)
        await resume_run(self._session, run)

    async def _retry(self, run: RunRow, row: RunCommandRow) -> None:
        if run.ended_at is None:
            raise RunNotEnded("The run still goes on.", hint="Cancel it first, or fork it.")
        if not row.seq:
            await self._make(run, row, None)
            return
        if run.status == RunStatus.SUCCEEDED.value:
            raise PointUnreachable(
                "The run did not fail.", hint="Fork it at an event, or retry it from scratch."
            )
        await self._fork(run, row)

    async def _fork(self, run: RunRow, row: RunCommandRow) -> None:
        """The new run has its own copy of the workspace as it was; words for it wait in its inbox."""
        seq = row.seq or 0
        await check_point(self._session, run, seq)
        made = await self._make(run, row, seq)
        await copy_answers(self._session, run, seq, made, "")
        if row.text:
            told = await add_command(self._session, made, Draft(Verb.STEER, self._user.id, row.text))
            await self._say_requested(made, told)

    async def _rewind(self, run: RunRow, row: RunCommandRow) -> None:
        """A parked run is rewound here and now; a worker does it when it has stopped what it is at."""
        await check_point(self._session, run, row.seq or 0)
        if run.parked_at is not None:
            await apply_rewinds(self._session, run)
            await resume_run(self._session, run)
        await wake(self._session, RUN_CONTROL, run.id)

    async def _make(self, run: RunRow, row: RunCommandRow, at_seq: int | None) -> RunRow:
        """A new run of the same task."""
        if run.parent_run_id is not None:
            raise RunIsChild(
                "This run was delegated by another one.", hint=f"Do it with the run {run.parent_run_id}."
            )
        task = await get_task_of(self._session, run)
        key = read_grant_key(self._keys_dir)
        made = await begin_attempt(self._session, key, task, AgentRole(run.role), "user", Origin(run, at_seq))
        row.made_run_id = made.id
        await settle(self._session, run, row, CommandState.APPLIED)
        return made

    async def _pause(self, run: RunRow, row: RunCommandRow) -> None:
        if run.pause_requested_at is not None:
            raise RunPaused("The run is paused, or will be at its next legal boundary.", hint="Resume it.")
        tree = await locked_tree(self._session, run.id)
        for each in tree:
            if each.pause_requested_at is None:
                await pause_now(self._session, each)
                await wake(self._session, RUN_CONTROL, each.id)

    async def _resume(self, run: RunRow, row: RunCommandRow) -> None:
        if run.pause_requested_at is None:
            raise RunNotPaused("The run is not paused.", hint="`hypercode task show` says what it waits for.")
        await self._unpause(run)
        await settle_pending_pauses(self._session, run, "resumed")
        await settle(self._session, run, row, CommandState.APPLIED)

    async def _unpause(self, run: RunRow) -> None:
        for each in await locked_tree(self._session, run.id):
            if each.pause_requested_at is not None:
                await end_pause(self._session, each)
                await wake(self._session, RUN_CONTROL, each.id)

    async def _cancel(self, run: RunRow, row: RunCommandRow) -> None:
        """The whole tree; what no worker ever took up is ended here and now."""
        await stop(self._session, await locked_tree(self._session, run.id), row.requested_at)
