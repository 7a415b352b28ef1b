"""A run from its place in the queue to its last event. Read this page to know what a run does.

Everything that touches the world is a durable step: killed at any moment, the run goes on after the last
step that was finished, and repeats none.
"""

import asyncio
from dataclasses import replace
from typing import Any

import structlog
from dbos import DBOS

from hypercode.agents.architect import architect
from hypercode.agents.coder import coder
from hypercode.agents.contract import TaskContract
from hypercode.agents.intent import (
    CallModel,
    CallTools,
    ChildrenEnded,
    Finish,
    Intent,
    IntentResult,
    ModelAnswer,
    ToolsDone,
    WaitForChildren,
)
from hypercode.agents.loop import agent_loop
from hypercode.domain.check import Check
from hypercode.domain.environment import Environment
from hypercode.domain.errors import Cancelled
from hypercode.domain.role import AgentRole
from hypercode.domain.run import Ending, RunStatus
from hypercode.events.eras import ERA, era_of
from hypercode.llm.base import ToolSpec
from hypercode.runs import conclusion, preparation
from hypercode.runs.ending import Outcome
from hypercode.runs.hands import Hands
from hypercode.runs.intents import Intents
from hypercode.runs.preparation import RunFacts
from hypercode.runs.queue import Segment
from hypercode.runs.services import Services
from hypercode.runs.snapshots import Snapshots
from hypercode.runs.step import StepDoer, StepFailed, Steps, patiently
from hypercode.runs.taking_up import take_up
from hypercode.runs.telling import STOPPED
from hypercode.runs.waiting import Park, Waiting
from hypercode.store.ownership import Owner, let_go
from hypercode.store.queue import RUN_WORKFLOW
from hypercode.store.runs import get_run, locked_run
from hypercode.telemetry.tracing import resumed

logger = structlog.get_logger(__name__)


def register(services: Services, worker_id: str, kind: "type[RunWorkflow] | None" = None) -> Segment:
    """Give DBOS the workflow; what it writes for a run counts only as long as the worker holds that run."""
    made = kind or RunWorkflow

    @DBOS.workflow(name=RUN_WORKFLOW)
    async def run_segment(run_id: str, segment: int = 0) -> None:
        owned = replace(services, database=services.database.owned(Owner(run_id, worker_id)))
        taken = await take_up(owned, run_id, segment)
        if taken is None:
            await patiently(lambda: _let_go(services, Owner(run_id, worker_id), segment))
            return
        waiting = Waiting(owned, run_id, segment)
        trace = taken.trace_parent if services.settings.otlp_endpoint else None
        with era_of(taken.era), resumed(trace, "run", run_id=run_id):
            if await made(owned, run_id, waiting, Steps(owned, run_id, waiting, taken.earlier)).go():
                await patiently(lambda: _let_go(services, Owner(run_id, worker_id), segment))

    return run_segment


async def _let_go(services: Services, owner: Owner, segment: int) -> None:
    """Nobody holds the run any more, unless it has gone on meanwhile: then its next segment has it, maybe here."""
    async with services.database.transaction() as session:
        if (await locked_run(session, owner.run_id)).segment == segment:
            await let_go(session, owner.run_id, owner.worker_id)


class RunWorkflow:
    """One segment of a run, on one worker. A run has more when it waited long, was paused, was long, or changed its worker."""

    def __init__(self, services: Services, run_id: str, waiting: Waiting, steps: StepDoer) -> None:
        self._services = services
        self._run_id = run_id
        self._waiting = waiting
        self._steps = steps
        self._facts: RunFacts | None = None
        self._head: dict[str, Any] | None = None
        self._verified: dict[str, Any] | None = None
        self._agent_began = False

    async def go(self) -> bool:
        """Work until the run has ended (True) or its segment has; how it ended is always written down."""
        log = logger.bind(run_id=self._run_id)
        log.info("run.taken")
        try:
            outcome = await self._work()
        except Park:
            self._services.control.forget(self._run_id)
            log.info("run.parked")
            return False
        except Cancelled:
            outcome = Outcome(status=RunStatus.CANCELLED, error_code="CANCELLED", error_message="Cancelled.")
            await self._steps.do("stopped", self._say_stopped, cancellable=False)
            await self._keep_diff_so_far()
        except StepFailed as failed:
            outcome = Outcome(
                status=RunStatus.FAILED,
                error_code=failed.code,
                error_message=failed.message,
                error_hint=failed.hint,
            )
            await self._keep_diff_so_far()
        self._services.control.closing(self._run_id)
        await self._steps.do(
            "finish",
            lambda: conclusion.finish(self._services, self._run_id, outcome, self._head, self._verified),
            asked=outcome,
            cancellable=False,
        )
        await self._clean_up()
        self._services.control.forget(self._run_id)
        log.info("run.ended", status=outcome.status.value)
        return True

    async def _work(self) -> Outcome:
        services, do = self._services, self._steps.do
        facts = RunFacts.model_validate(
            await do(
                "begin",
                lambda: preparation.begin(services, self._run_id, self._waiting.segment),
                cancellable=False,
            )
        )
        self._facts = facts
        workspace = await do("workspace", lambda: preparation.open_workspace(services, facts))
        environment = Environment.model_validate(
            await do("environment", lambda: preparation.build_environment(services, facts))
        )
        await do("sandbox", lambda: self._open_sandbox(facts, environment))
        checks = await do(
            "checks",
            lambda: preparation.freeze_checks(services, facts, workspace["base_commit"], environment),
        )
        if ERA.get():
            await do("restore", lambda: preparation.restore(services, facts))
        self._agent_began = True
        finish = await self._agent(facts, checks)
        self._head = await do("diff", lambda: conclusion.export_diff(services, facts))
        head = self._head
        if facts.parent_run_id is None and finish.ending is not Ending.CANCELLED:
            self._verified = await do("verify", lambda: conclusion.verify(services, facts, head))
        return _outcome(finish)

    async def _open_sandbox(self, facts: RunFacts, environment: Environment) -> dict[str, Any]:
        """The container starts while what the run begins with is kept: no call can write before both are done."""
        kept, opened = await asyncio.gather(
            Snapshots(self._services, facts).base(),
            preparation.open_sandbox(self._services, facts, environment),
            return_exceptions=True,
        )
        for each in (opened, kept):
            if isinstance(each, BaseException):
                raise each
        return opened if isinstance(opened, dict) else {}

    async def _agent(self, facts: RunFacts, checks: dict[str, Any]) -> Finish:
        async def read_grant() -> str:
            async with self._services.database.transaction() as session:
                return (await get_run(session, facts.run_id)).grant_token

        hands = Hands(self._services.settings.address_of("tools"), lambda: patiently(read_grant))
        try:
            return await self._drive(facts, checks, hands)
        finally:
            await hands.close()

    async def _drive(self, facts: RunFacts, checks: dict[str, Any], hands: Hands) -> Finish:
        """Hand the loop its results until it says Finish; the loop itself does nothing but think."""

        async def survey() -> dict[str, Any]:
            tools = await hands.list_tools()
            notes = await hands.call("fs_read", {"path": "AGENTS.md"}, "notes")
            brief = await hands.call("ctx_brief", {}, "brief")
            return {
                "tools": [tool.model_dump(mode="json") for tool in tools],
                "notes": str(notes.data.get("content", "")) if notes.ok else "",
                "memory": brief.text if brief.ok and not brief.data["empty"] else "",
            }

        surveyed = await self._steps.do("survey", survey)
        contract = TaskContract(
            goal=facts.goal,
            checks=[Check.model_validate(check) for check in checks["checks"]],
            base_red=checks["base_red"],
            notes=surveyed["notes"],
            # A run that was surveyed by an older version has no such entry.
            memory=surveyed.get("memory", ""),
        )
        profile = architect() if facts.role is AgentRole.ARCHITECT else coder()
        tools = [ToolSpec.model_validate(tool) for tool in surveyed["tools"]]
        loop = agent_loop(contract, tools, profile)
        snapshots = Snapshots(self._services, facts, tools)
        intents = Intents(self._services, facts, hands, self._waiting, snapshots, tools)
        intent = next(loop)
        turn = 0
        try:
            while not isinstance(intent, Finish):
                if isinstance(intent, CallModel):
                    turn = intent.turn
                intent = loop.send(await self._carry_out(intents, intent, turn))
        finally:
            await intents.close()
        return intent

    async def _carry_out(self, intents: Intents, intent: Intent, turn: int) -> IntentResult:
        match intent:
            case CallModel():
                return ModelAnswer.model_validate(
                    await self._steps.do(f"model:{turn}", lambda: intents.call_model(intent), asked=intent)
                )
            case CallTools():
                return ToolsDone.model_validate(
                    await self._steps.do(
                        f"tools:{turn}", lambda: intents.call_tools(intent, turn), asked=intent
                    )
                )
            case WaitForChildren():
                return ChildrenEnded.model_validate(
                    await self._steps.do(
                        f"children:{turn}", lambda: intents.wait_for_children(intent, turn), asked=intent
                    )
                )
            case Finish():
                raise AssertionError("Finish is no step")

    async def _say_stopped(self) -> dict[str, Any]:
        await self._services.record(self._run_id, "stopped", STOPPED)
        return {}

    async def _keep_diff_so_far(self) -> None:
        """What the agent has done is not lost with its run."""
        facts = self._facts
        if facts is None or self._head is not None or not self._agent_began:
            return
        try:
            self._head = await self._steps.do(
                "diff", lambda: conclusion.export_diff(self._services, facts), cancellable=False
            )
        except StepFailed as failed:  # the workspace was not there yet, or is gone with its engine
            logger.info("run.no_diff", run_id=self._run_id, code=failed.code)

    async def _clean_up(self) -> None:
        facts = self._facts
        if facts is None:
            return
        try:
            await self._steps.do("close", lambda: conclusion.close(self._services, facts), cancellable=False)
        except StepFailed as failed:  # the reaper of sandboxd finds what is left
            logger.warning("run.not_cleaned_up", run_id=self._run_id, code=failed.code, reason=failed.message)


def _outcome(finish: Finish) -> Outcome:
    if finish.ending is Ending.FINISHED:
        return Outcome(status=RunStatus.SUCCEEDED, summary=finish.summary)
    return Outcome(
        status=RunStatus.FAILED,
        error_code=f"AGENT_{finish.ending.value.upper()}",
        error_message=finish.summary,
        error_hint="Read the agent's last words, and ask again with what it lacks.",
        summary=finish.summary,
    )
