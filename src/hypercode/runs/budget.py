"""What a run spends: held at its worst before each call, settled by what the call took. ADR 0024 tells the whole way.

All of it happens in the transactions that look a call up and keep what came of it. A call that its budget does not
cover pauses the run: it is parked, holds nothing and no worker, and goes on when the budget was raised.
"""

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.agents.intent import ToolOutcome
from hypercode.domain.budget import MICRO, Amount, Need, Refusal, nano, told, usage
from hypercode.domain.errors import BudgetExceeded, Cancelled
from hypercode.domain.event import BudgetReached, NoticeRaised, RunStatusChanged
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.events import log
from hypercode.llm.base import ModelReply, Most, RequestedCall, ToolSpec
from hypercode.runs.services import Services
from hypercode.runs.waiting import Park
from hypercode.settings import Settings
from hypercode.store import budgets
from hypercode.store.budgets import Held
from hypercode.store.runs import locked_run
from hypercode.store.tables import RunRow

HINT = "Raise the task's budget and start it again. A run that waits for a top-up is paused: `hypercode task top-up`."
CONTENDED_PAUSES_S = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Between two looks when all that is left is held for calls of other runs, which are about to give some of it back."""


class Why(Enum):
    """Why a call is not made."""

    CONTENDED = auto()
    PAUSED = auto()
    GIVEN_UP = auto()
    CANCELLED = auto()


@dataclass(frozen=True)
class Stopped:
    """The call is not made, or not yet."""

    why: Why
    message: str = ""


class Purse:
    """The budgets that one run's calls count in."""

    def __init__(self, services: Services, run_id: str, task_id: str) -> None:
        self._services = services
        self._run_id = run_id
        self._task_id = task_id
        self._accounts: list[str] = []
        self._looks = 0

    async def reserve(
        self, session: AsyncSession, key: str, need: Need, *, adopt: bool = False
    ) -> Held | Stopped:
        """Hold the most that a call may take, in the caller's transaction; else say there why the run pauses."""
        if not self._accounts:
            self._accounts = await budgets.accounts_of(session, self._run_id, self._task_id)
        answer = await budgets.reserve(session, self._accounts, self._run_id, key, need, adopt=adopt)
        if isinstance(answer, Refusal):
            return await self._refused(session, key, need, answer)
        if answer.lost:
            await log.append(session, self._run_id, f"{key}:lost:{answer.owner}", [LOST])
        if answer.was_paused:
            await self._go_on(session, key)
        return answer

    async def granted(self, answer: Held | Stopped) -> Held | None:
        """What was held; None to look again. Raises Park, BudgetExceeded or Cancelled. Outside of any transaction."""
        if isinstance(answer, Held):
            self._looks = 0
            return answer
        match answer.why:
            case Why.CONTENDED:
                await asyncio.sleep(CONTENDED_PAUSES_S[min(self._looks, len(CONTENDED_PAUSES_S) - 1)])
                self._looks += 1
                return None
            case Why.PAUSED:
                raise Park
            case Why.GIVEN_UP:
                raise BudgetExceeded(answer.message, hint=HINT)
            case Why.CANCELLED:
                raise Cancelled("The run was cancelled.")

    async def take(self, key: str, need: Need, *, adopt: bool = False) -> Held:
        """Hold what a call may take in a transaction of its own; waits while others hold the rest."""
        held = None
        while held is None:
            async with self._services.database.transaction() as session:
                answer = await self.reserve(session, key, need, adopt=adopt)
            held = await self.granted(answer)
        return held

    async def give_back(self, held: Held) -> None:
        """The call was not made, or took nothing."""
        async with self._services.database.transaction() as session:
            await budgets.settle(session, held, Amount())

    async def settle_reply(self, session: AsyncSession, held: Held, reply: ModelReply) -> None:
        """Count what a reply took. First in its transaction: a budget is locked before a run."""
        used = Amount(
            turns=1,
            tokens=reply.tokens_in + reply.tokens_out,
            cost_nano=nano(reply.cost_usd),
            unpriced=int(reply.cost_usd is None),
        )
        await budgets.settle(session, held, used)

    async def settle_tool(self, session: AsyncSession, held: Held, need: Need, outcome: ToolOutcome) -> None:
        """Count the CPU time since the sandbox was last read. Unread: no more than all its cores for as long as it took.

        A call of unknown outcome is counted at its worst.
        """
        if outcome.cpu is not None:
            cpu_us = await budgets.read_meter(
                session, self._run_id, outcome.cpu.sandbox, outcome.cpu.whole_us
            )
            await budgets.settle(session, held, Amount(cpu_us=cpu_us))
        elif outcome.code == "UNCERTAIN":
            await budgets.settle_lost(session, self._run_id, held.key)
        else:
            cores = self._services.settings.sandbox.cpus
            most_us = round(outcome.duration_ms * 1000 * cores)
            await budgets.settle(session, held, Amount(cpu_us=min(most_us, need.most.cpu_us)))

    async def _refused(self, session: AsyncSession, key: str, need: Need, refused: Refusal) -> Stopped:
        run = await locked_run(session, self._run_id)
        if run.cancel_requested_at is not None:
            return Stopped(Why.CANCELLED)
        pause = await budgets.get_pause(session, run.id)
        if pause is not None and pause.given_up:
            return Stopped(Why.GIVEN_UP, pause.message)
        if not refused.for_good:
            return Stopped(Why.CONTENDED)
        message, now = told(refused, need.most), datetime.now(UTC)
        expires_at = now + timedelta(seconds=self._services.settings.budgets.paused_s)
        values = {"accounts": self._accounts, "need": asdict(need.most), "message": message}
        await budgets.keep_pause(session, run, {**values, "paused_at": now, "expires_at": expires_at})
        if pause is None:
            run.status, run.wait_reason = RunStatus.WAITING.value, WaitReason.BUDGET.value
            run.waiting_since = now
            events = [_waits(message), _reached(run, refused, message, expires_at)]
            await log.append(session, run.id, f"budget:{key}:{refused.account.revision}:reached", events)
        return Stopped(Why.PAUSED, message)

    async def _go_on(self, session: AsyncSession, key: str) -> None:
        run = await locked_run(session, self._run_id)
        await budgets.drop_pause(session, run.id)
        if run.waiting_since is not None:
            run.waited_s += (datetime.now(UTC) - run.waiting_since).total_seconds()
        run.status, run.wait_reason, run.waiting_since = RunStatus.RUNNING.value, None, None
        going = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="Going on")
        await log.append(session, run.id, f"budget:{key}:{run.segment}:going_on", [going])


LOST = NoticeRaised(
    level="info",
    code="MODEL_CALL_LOST",
    message="The platform was stopped during this model call, and its answer is lost.",
    hint="The budget counts the lost call at the most that it can have cost; it is asked again.",
)


def model_need(most: Most, settings: Settings) -> Need:
    """The most that a model call can take of a budget."""
    amount = Amount(
        turns=1, tokens=most.tokens, cost_nano=nano(most.cost_usd), unpriced=int(most.cost_usd is None)
    )
    return Need(amount, round(settings.llm.timeout_s * MICRO))


def tool_need(call: RequestedCall, specs: dict[str, ToolSpec], settings: Settings) -> Need:
    """The most CPU time that a tool call can take: all cores of the sandbox for as long as it may last."""
    seconds = _lasts_s(call, specs.get(call.tool), settings.budgets.tool_s)
    return Need(Amount(cpu_us=round(seconds * settings.sandbox.cpus * MICRO)), round(seconds * MICRO))


def _lasts_s(call: RequestedCall, spec: ToolSpec | None, otherwise: float) -> float:
    """The call's own limit, else its tool's; a tool without one is quick, and ``otherwise`` is its limit."""
    known = dict(spec.parameters.get("properties") or {}) if spec is not None else {}
    for name in ("timeout_s", "budget_s"):
        if name in known:
            given = call.arguments.get(name, known[name].get("default", otherwise))
            most = float(known[name].get("maximum", 3600.0))
            # What is no number is refused by the tool, at once.
            return min(float(given), most) if isinstance(given, int | float) and given > 0 else otherwise
    return otherwise


def _waits(message: str) -> RunStatusChanged:
    return RunStatusChanged(
        status=RunStatus.WAITING, wait_reason=WaitReason.BUDGET, detail=f"Paused: {message}"
    )


def _reached(run: RunRow, refused: Refusal, message: str, expires_at: datetime) -> BudgetReached:
    account = refused.account
    return BudgetReached(
        limit=refused.limit,
        message=message,
        limits=account.limits,
        used=usage(account.used, account.elapsed_us),
        reserved=usage(account.reserved),
        done=f"{run.turns} turns, {run.tokens_in + run.tokens_out} tokens and ${run.cost_usd:.4f} in this run so far",
        expires_at=expires_at,
    )
