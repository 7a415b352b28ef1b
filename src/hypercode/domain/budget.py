"""What a task and all its descendants may use, and whether the next call fits. Pure: the rows are in ``store/budgets.py``.

Inside, everything is a whole number (money in billionths of a dollar, time in microseconds), so that what is reserved
and what is given back are the same to the last digit.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

NANO = 1_000_000_000
MICRO = 1_000_000


class Budget(BaseModel):
    """Limits of a task; None means no limit. Money in US dollars, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int | None = Field(default=200, ge=1, le=1_000_000)
    max_tokens: int | None = Field(default=None, ge=1, le=10**12)
    max_cost_usd: float | None = Field(default=None, ge=0, le=10**6, allow_inf_nan=False)
    max_wall_s: float | None = Field(default=3600, gt=0, le=366 * 86_400, allow_inf_nan=False)
    max_cpu_s: float | None = Field(default=None, gt=0, le=10**9, allow_inf_nan=False)


class Limits(BaseModel):
    """New limits of a task: only what is named changes, and null takes a limit away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int | None = Field(default=None, ge=1, le=1_000_000)
    max_tokens: int | None = Field(default=None, ge=1, le=10**12)
    max_cost_usd: float | None = Field(default=None, ge=0, le=10**6, allow_inf_nan=False)
    max_wall_s: float | None = Field(default=None, gt=0, le=366 * 86_400, allow_inf_nan=False)
    max_cpu_s: float | None = Field(default=None, gt=0, le=10**9, allow_inf_nan=False)

    def on(self, budget: Budget) -> Budget:
        """The budget with the limits that were named."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        return Budget.model_validate(budget.model_dump() | named)


class Usage(BaseModel):
    """What was used so far, in the units of Budget. ``cost_known`` is False once a price was missing."""

    model_config = ConfigDict(frozen=True)

    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    wall_s: float = 0.0
    cpu_s: float = 0.0


class BudgetPause(BaseModel):
    """A run that is paused because the next call does not fit; ``expires_at`` is when it ends by itself."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    message: str
    paused_at: datetime
    expires_at: datetime


class TaskBudget(BaseModel):
    """Where a task's budget stands. ``reserved`` is held for calls that are under way, at their worst case."""

    model_config = ConfigDict(frozen=True)

    limits: Budget
    used: Usage
    reserved: Usage
    paused: list[BudgetPause]


class Limit(StrEnum):
    """What a budget may run out of; ``price``: there is a limit in dollars, and nobody knows what the call costs."""

    TURNS = "turns"
    TOKENS = "tokens"
    COST = "cost"
    WALL = "wall"
    CPU = "cpu"
    PRICE = "price"


@dataclass(frozen=True)
class Amount:
    """What a call takes of a budget. ``unpriced`` counts model calls whose price nobody knows."""

    turns: int = 0
    tokens: int = 0
    cost_nano: int = 0
    cpu_us: int = 0
    unpriced: int = 0


@dataclass(frozen=True)
class Need:
    """The most that a call can take, and how long it can last."""

    most: Amount
    wall_us: int


@dataclass(frozen=True)
class Account:
    """One budget as it stands: a task's, or the share of a child run. ``elapsed_us`` is its clock."""

    id: str
    limits: Budget
    used: Amount
    reserved: Amount
    elapsed_us: int = 0
    revision: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why a call can't be made. ``for_good``: not even once all that is reserved was given back unused."""

    account: Account
    limit: Limit
    for_good: bool


def nano(dollars: float | None) -> int:
    """Dollars in billionths, never less than they are."""
    return 0 if dollars is None else ceil(round(dollars * NANO, 3))


def refusal(account: Account, need: Amount) -> Refusal | None:
    """Why the account does not cover the need, or None. Nothing may ever make used + reserved greater than a limit."""
    limits = account.limits
    if limits.max_cost_usd is not None and need.unpriced:
        return Refusal(account, Limit.PRICE, for_good=True)
    if limits.max_wall_s is not None and account.elapsed_us >= limits.max_wall_s * MICRO:
        return Refusal(account, Limit.WALL, for_good=True)
    waits: Refusal | None = None
    for limit, most, used, reserved, more in _compared(account, need):
        if most is None or used + reserved + more <= most:
            continue
        # What needs nothing of a kind is not held up by that kind having run out.
        if more == 0:
            continue
        if used + more > most:
            return Refusal(account, limit, for_good=True)
        waits = waits or Refusal(account, limit, for_good=False)
    return waits


def _compared(account: Account, need: Amount) -> list[tuple[Limit, int | None, int, int, int]]:
    limits, used, reserved = account.limits, account.used, account.reserved
    cost = None if limits.max_cost_usd is None else round(limits.max_cost_usd * NANO)
    cpu = None if limits.max_cpu_s is None else round(limits.max_cpu_s * MICRO)
    return [
        (Limit.TURNS, limits.max_turns, used.turns, reserved.turns, need.turns),
        (Limit.TOKENS, limits.max_tokens, used.tokens, reserved.tokens, need.tokens),
        (Limit.COST, cost, used.cost_nano, reserved.cost_nano, need.cost_nano),
        (Limit.CPU, cpu, used.cpu_us, reserved.cpu_us, need.cpu_us),
    ]


def usage(amount: Amount, elapsed_us: int = 0) -> Usage:
    """An amount in people's units."""
    return Usage(
        turns=amount.turns,
        tokens=amount.tokens,
        cost_usd=amount.cost_nano / NANO,
        cost_known=amount.unpriced == 0,
        wall_s=elapsed_us / MICRO,
        cpu_s=amount.cpu_us / MICRO,
    )


def told(refused: Refusal, need: Amount) -> str:
    """A refusal in words: what was used, of what, and what the next call could take."""
    account, limits = refused.account, refused.account.limits
    whose = "task" if account.id.startswith("tsk_") else "run's share"
    used = usage(account.used, account.elapsed_us)
    match refused.limit:
        case Limit.TURNS:
            return f"The {whose} has used {used.turns} of {limits.max_turns} turns."
        case Limit.TOKENS:
            return f"The {whose} has used {used.tokens} of {limits.max_tokens} tokens; the next call may take {need.tokens}."
        case Limit.COST:
            return (
                f"The {whose} has cost ${used.cost_usd:.4f} of ${limits.max_cost_usd:.4f}; "
                f"the next call may cost ${need.cost_nano / NANO:.4f}."
            )
        case Limit.WALL:
            return f"The {whose} has worked {used.wall_s:.0f} of {limits.max_wall_s:.0f} seconds."
        case Limit.CPU:
            return (
                f"The {whose} has used {used.cpu_s:.1f} of {limits.max_cpu_s:.1f} CPU seconds; "
                f"the next call may take {need.cpu_us / MICRO:.1f}."
            )
        case Limit.PRICE:
            return (
                "The task has a budget in dollars, and nobody knows what a call of its model costs: "
                "set its prices, or take the limit in dollars away."
            )
