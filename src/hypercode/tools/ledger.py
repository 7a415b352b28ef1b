"""What is written down of a call: decision and "running" in one transaction before it, outcome and "done" after."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

import anyio
from psycopg import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, HyperCodeError, Unauthenticated
from hypercode.domain.grant import Grant
from hypercode.domain.run import RunStatus
from hypercode.mcp_protocol.codes import Uncertain
from hypercode.store.approvals import AskedCall
from hypercode.store.audit import AuditedCall, append_audit
from hypercode.store.database import DATABASE_AWAY, Database, statements_of
from hypercode.store.journal import DONE, RUNNING, claim_key, read_key, reclaim_key
from hypercode.store.ledger import end_call, take_call
from hypercode.store.tables import JournalRow, RunRow
from hypercode.tools.approvals import ask, told
from hypercode.tools.result import CallResult, failure

WRITE_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Intention:
    """A call that was decided: what audit says of it, its key, and why it will not run, if so.

    ``asks`` is what a person is asked where a rule wants it; their approval lets the call run.
    """

    audited: AuditedCall
    key: str | None
    decision: dict[str, Any]
    refusal: HyperCodeError | None
    repeatable: bool
    asks: AskedCall | None = None


@dataclass(frozen=True)
class Started:
    """A call that is written down as running, and the sandbox of its run."""

    audited: AuditedCall
    key: str | None
    sandbox_id: str | None


class Ledger:
    """Journal and audit of the calls of one process, ``owner``."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._going_on: dict[tuple[str, str], anyio.Event] = {}

    async def begin(self, grant: Grant, intention: Intention) -> Started | CallResult:
        """Write a call down and say whether to run it, or return what it came to before."""
        if intention.refusal is None and intention.asks is None:
            decision = {**intention.decision, "owner": self._owner}
            async with self._database.single_statements() as connection:
                taken = await take_call(connection, grant, intention.audited, intention.key, decision)
            if taken is not None:
                return self._running(Started(intention.audited, intention.key, taken.sandbox_id))
        return await self._begin_closely(grant, intention)

    async def _begin_closely(self, grant: Grant, intention: Intention) -> Started | CallResult:
        """A repeated key, a refusal, or a grant that does not fit its run."""
        async with self._database.transaction() as session:
            run = await _checked_run(session, grant)
            earlier = await self._claim(session, intention)
            begun = await self._decide(session, intention, earlier, run)
        if begun is not None:
            return begun
        return await self._attach(intention)

    def _running(self, started: Started) -> Started:
        if started.key is not None:
            self._going_on[(started.audited.run_id, started.key)] = anyio.Event()
        return started

    async def finish(self, started: Started, result: CallResult | None) -> None:
        """Write the outcome down; ``result`` None means that the call was cancelled."""
        body = {"outcome": "cancelled" if result is None else result.code, "owner": self._owner}
        try:
            with anyio.fail_after(WRITE_TIMEOUT_S, shield=True):
                await self._written_down(started, result, body)
        finally:
            if started.key is not None:
                event = self._going_on.pop((started.audited.run_id, started.key), None)
                if event is not None:
                    event.set()

    async def _written_down(self, started: Started, result: CallResult | None, body: dict[str, Any]) -> None:
        """Write until Postgres takes it: the effect has happened, and only this process knows what came of it."""
        stored = None if result is None else result.stored()
        pause = 0.1
        while True:
            try:
                async with self._database.single_statements() as connection:
                    await end_call(connection, started.audited, started.key, body, stored)
                return
            except DATABASE_AWAY:
                await anyio.sleep(pause)
                pause = min(2 * pause, 2.0)
            except IntegrityError:
                # An outcome stands already: ours, from before Postgres went away, or that of who took over.
                return

    async def _claim(self, session: AsyncSession, intention: Intention) -> JournalRow | None:
        if intention.key is None:
            return None
        earlier = await claim_key(session, intention.audited, intention.key, self._owner)
        same = earlier is None or (
            earlier.tool == intention.audited.tool
            and earlier.arguments_sha256 == intention.audited.arguments_sha256
        )
        if not same:
            raise Conflict(
                "this idempotency key belongs to another call", hint="Give every call a key of its own."
            )
        return earlier

    async def _decide(
        self, session: AsyncSession, intention: Intention, earlier: JournalRow | None, run: RunRow
    ) -> Started | CallResult | None:
        """None means: the same call is going on in this process."""
        audited = intention.audited
        if earlier is not None:
            if earlier.state == DONE and earlier.result is not None:
                return CallResult(**earlier.result)
            if earlier.state == RUNNING and earlier.owner == self._owner:
                return None
            if not intention.repeatable:
                return _uncertain(intention)
            reclaim_key(earlier, self._owner)
            # The first attempt keeps its own pair of audit rows.
            audited = replace(audited, call_id=f"{audited.call_id}~{secrets.token_hex(4)}")
        permit, refusal = None, intention.refusal
        if intention.asks is not None:
            permit = await ask(session, run, intention.asks)
            refusal = permit if isinstance(permit, HyperCodeError) else None
        decision = intention.decision if permit is None else {**intention.decision, **told(permit)}
        await append_audit(session, audited, "decision", {**decision, "owner": self._owner})
        if refusal is None:
            return self._running(Started(audited, intention.key, run.sandbox_id))
        result = failure(refusal)
        outcome = {"outcome": result.code, "owner": self._owner}
        await end_call(await statements_of(session), audited, intention.key, outcome, result.stored())
        return result

    async def _attach(self, intention: Intention) -> CallResult:
        """Wait for the same call, which another request of this process is carrying out."""
        run_id, key = intention.audited.run_id, intention.key or ""
        if (event := self._going_on.get((run_id, key))) is not None:
            await event.wait()
        async with self._database.transaction() as session:
            row = await read_key(session, run_id, key)
        if row is not None and row.state == DONE and row.result is not None:
            return CallResult(**row.result)
        return _uncertain(intention)


def _uncertain(intention: Intention) -> CallResult:
    return failure(
        Uncertain(
            f"the platform stopped during this call of {intention.audited.tool}; "
            "whether its effect happened is unknown",
            hint="Look at the workspace before you repeat it.",
        )
    )


async def _checked_run(session: AsyncSession, grant: Grant) -> RunRow:
    """Load the grant's run and hold the grant against it: a narrowed grant must name a real child."""
    run = await session.get(RunRow, grant.run_id)
    expected = (grant.organisation_id, grant.project_id, grant.task_id, grant.workspace_id, grant.role.value)
    if run is None or expected != (
        run.organisation_id,
        run.project_id,
        run.task_id,
        run.workspace_id,
        run.role,
    ):
        raise Unauthenticated("the grant does not fit its run")
    if grant.lineage and run.parent_run_id != grant.lineage[-1]:
        raise Unauthenticated("the grant was narrowed for a run that is not a child")
    if RunStatus(run.status).ended:
        raise Conflict("the run has ended")
    return run
