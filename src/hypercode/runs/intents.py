"""Carries out what the loop asks for. Each intent is one durable step."""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.agents.intent import (
    CallModel,
    CallTools,
    ChildEnded,
    ChildrenEnded,
    ToolOutcome,
    ToolsDone,
    WaitForChildren,
)
from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.budget import Need
from hypercode.domain.errors import Conflict
from hypercode.domain.event import (
    PlanItemChanged,
    ToolCallProgressed,
)
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.events import log
from hypercode.events.eras import in_era
from hypercode.llm.base import RequestedCall, ToolSpec
from hypercode.platform_api import types as api
from hypercode.runs.budget import Purse, tool_need
from hypercode.runs.hands import Hands
from hypercode.runs.inbox import Interrupted, unless_interrupted
from hypercode.runs.interruption import outcomes_so_far
from hypercode.runs.model_calls import ModelCalls
from hypercode.runs.preparation import RunFacts
from hypercode.runs.reports import report_of
from hypercode.runs.services import Services
from hypercode.runs.snapshots import Snapshots
from hypercode.runs.telling import (
    CHILDREN_AWAITED,
    CHILDREN_ENDED,
    call_completed,
    call_requested,
)
from hypercode.runs.waiting import Park, Waiting, asks_a_person
from hypercode.store.approvals import CALL
from hypercode.store.artifacts import artifacts_of
from hypercode.store.budgets import Held
from hypercode.store.journal import keep_done
from hypercode.store.runs import children_of, get_run
from hypercode.store.steering import interrupt_waits
from hypercode.store.tables import JournalRow, RunRow

CHILD_SWEEP_S = 5.0


class Intents:
    """The executor of one run's intents."""

    def __init__(
        self,
        services: Services,
        facts: RunFacts,
        hands: Hands,
        waiting: Waiting,
        snapshots: Snapshots,
        tools: list[ToolSpec],
    ) -> None:
        self._services = services
        self._snapshots = snapshots
        self._purse = Purse(services, facts.run_id, facts.task_id)
        self._specs = {tool.name: tool for tool in tools}
        self._waiting = waiting
        self._facts = facts
        self._hands = hands
        self._model_calls = ModelCalls(services, facts, self._purse)

    async def close(self) -> None:
        """Close the model's connections; called when a worker is done with the run."""
        await self._model_calls.aclose()

    async def call_model(self, intent: CallModel) -> dict[str, Any]:
        """Ask the model once; a reply that was received before a kill is not paid for again."""
        return await self._model_calls.call(intent)

    async def call_tools(self, intent: CallTools, turn: int) -> dict[str, Any]:
        """Call the tools; each call has its own key, so a repeated step repeats no effect. Every call is answered."""
        calls = {f"{turn}.{n}": call for n, call in enumerate(intent.calls)}
        try:
            outcomes = await unless_interrupted(
                self._services, self._facts.run_id, self._call_each(calls, turn, parallel=intent.parallel)
            )
        except Interrupted:
            outcomes = await self._answer_interrupted(calls, turn)
        return ToolsDone(outcomes=outcomes).model_dump(mode="json")

    async def _call_each(
        self, calls: dict[str, RequestedCall], turn: int, *, parallel: bool
    ) -> list[ToolOutcome]:
        if parallel:
            return await _side_by_side(self._call_tool(call, n, turn) for n, call in calls.items())
        return [await self._call_tool(call, n, turn) for n, call in calls.items()]

    async def _answer_interrupted(self, calls: dict[str, RequestedCall], turn: int) -> list[ToolOutcome]:
        """What is held for a call that was stopped stays held at its worst, until the run's end."""
        async with self._services.database.transaction() as session:
            keys = [in_era(f"{CALL}{n}") for n in calls]
            outcomes = await outcomes_so_far(session, self._facts.run_id, keys)
        for (n, call), outcome in zip(calls.items(), outcomes, strict=True):
            requested = call_requested(call, in_era(n), turn)
            await self._services.record(self._facts.run_id, f"tool:{n}:requested", requested)
            told = call_completed(call, in_era(n), outcome)
            await self._snapshots.after(call.tool, f"tool:{n}:completed", told)
        return outcomes

    async def _call_tool(self, call: RequestedCall, n: str, turn: int) -> ToolOutcome:
        name = in_era(f"{CALL}{n}")
        need = tool_need(call, self._specs, self._services.settings)
        held = await self._begin_tool(name, need, call, n, turn)
        said = 0

        async def progress(message: str) -> None:
            nonlocal said
            said += 1
            progressed = ToolCallProgressed(call_id=in_era(n), message=message)
            await self._services.record(self._facts.run_id, f"tool:{n}:progress:{said}", progressed)

        async def make(named: str) -> ToolOutcome:
            nonlocal held
            if named != held.key:
                held = await self._purse.take(named, need, adopt=True)
            outcome = await self._hands.call(call.tool, call.arguments, named, progress)
            if asks_a_person(outcome):
                # People take their time; nothing is held for a call that is not made yet.
                await self._purse.give_back(held)
            return outcome

        outcome = await self._waiting.settled(name, make)

        async def settle(session: AsyncSession) -> None:
            await self._purse.settle_tool(session, held, need, outcome)

        events = call_completed(call, in_era(n), outcome)
        await self._snapshots.after(call.tool, f"tool:{n}:completed", events, first=settle)
        return outcome

    async def _begin_tool(self, name: str, need: Need, call: RequestedCall, n: str, turn: int) -> Held:
        """Hold what the call may take and say that it begins, in one transaction."""
        requested, held = call_requested(call, in_era(n), turn), None
        while held is None:
            async with self._services.database.transaction() as session:
                answer = await self._purse.reserve(session, name, need, adopt=True)
                if isinstance(answer, Held):
                    await log.append(session, self._facts.run_id, f"tool:{n}:requested", [requested])
            held = await self._purse.granted(answer)
        return held

    async def wait_for_children(self, intent: WaitForChildren, turn: int) -> dict[str, Any]:
        """Wait until all these runs have ended or a person interrupts; bring the changes of the ended ones together."""
        facts = self._facts
        await self._services.record(
            facts.run_id,
            f"children:{turn}:waiting",
            CHILDREN_AWAITED,
            status=RunStatus.WAITING.value,
            wait_reason=WaitReason.CHILDREN.value,
        )
        self._services.control.rests(facts.run_id)
        children = await self._until_ended(set(intent.run_ids))
        self._services.control.goes_on(facts.run_id)
        ended = [await self._take_over(child) for child in children]
        await self._services.record(
            facts.run_id,
            f"children:{turn}:ended",
            CHILDREN_ENDED,
            status=RunStatus.RUNNING.value,
            wait_reason=None,
        )
        interrupted = len(ended) < len(intent.run_ids)
        return ChildrenEnded(children=ended, interrupted=interrupted).model_dump(mode="json")

    async def _until_ended(self, run_ids: set[str]) -> list[RunRow]:
        """Those that have ended: all of them, or the ones that had when a person interrupted the wait."""
        control, run_id = self._services.control, self._facts.run_id
        signal = control.child_ended(run_id)
        held_until = time.monotonic() + self._services.settings.approvals.held_s
        while True:
            signal.clear()
            if control.held(run_id):
                raise Park
            async with self._services.database.transaction() as session:
                children = [child for child in await children_of(session, run_id) if child.id in run_ids]
                interrupted = control.interrupted(run_id).is_set() and await interrupt_waits(session, run_id)
            ended = [child for child in children if child.ended_at is not None]
            if interrupted or len(ended) == len(children):
                return ended
            left = held_until - time.monotonic()
            if left <= 0:
                raise Park
            try:
                await asyncio.wait_for(signal.wait(), min(left, CHILD_SWEEP_S))
            except TimeoutError:
                continue

    async def _take_over(self, child: RunRow) -> ChildEnded:
        """Apply a child's diff to this run's workspace; a conflict is told, never forced."""
        status, item = RunStatus(child.status), child.plan_item_id or ""
        outcome, detail = "failed", child.error_message or "The Coder did not finish."
        if status is RunStatus.SUCCEEDED:
            outcome, detail = "merged", "Its changes are in."
            try:
                await self._apply(child)
            except Conflict as error:
                outcome, detail = "conflicted", error.message
        changed = PlanItemChanged.model_validate(
            {"item_id": item, "status": outcome, "child_run_id": child.id, "detail": detail}
        )
        await self._snapshots.after("merge", f"item:{child.id}", [changed])
        words = f"{outcome}: {detail}"
        async with self._services.database.transaction() as session:
            if report := await report_of(session, child.id):
                words += f"\nIt reports: {report}"
        return ChildEnded(run_id=child.id, status=status, proof=child.proof, summary=words)

    async def _apply(self, child: RunRow) -> None:
        key = in_era(f"merge:{child.id}")
        async with self._services.database.transaction() as session:
            run = await get_run(session, self._facts.run_id)
            if await session.get(JournalRow, (run.id, key)) is not None:
                return
            diffs = [a for a in await artifacts_of(session, child.id) if a.kind == ArtifactKind.DIFF.value]
        for artifact in diffs:
            diff = (await self._services.artifacts.read(artifact)).decode()
            if diff:
                await self._services.platform.diff_apply(
                    api.DiffApply(run_id=run.id, workspace_id=self._facts.workspace_id, diff=diff)
                )
        async with self._services.database.transaction() as session:
            await keep_done(session, run, key, "merge")


async def _side_by_side(calls: Iterable[Awaitable[ToolOutcome]]) -> list[ToolOutcome]:
    """All of them, to their end: a call that waits for a person ends the step only after the others."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if isinstance(each, ToolOutcome)]
