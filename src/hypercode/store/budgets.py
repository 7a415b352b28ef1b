"""The books of budgets: two statements hold what a call may take at most, one settles it by what it took.

Whoever locks a budget's row and a run's row locks the budget's first. All accounts of a call are locked in the order
of their ids. What is held belongs to (run, key) and to who reserved it: a repeat after a kill finds it, a zombie does not.
"""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import (
    Account,
    Amount,
    Budget,
    BudgetPause,
    Need,
    Refusal,
    TaskBudget,
    Usage,
    refusal,
    usage,
)
from hypercode.store.tables import BudgetPauseRow, BudgetRow, RunRow, TaskRow

AMOUNTS = ("turns", "tokens", "cost_nano", "cpu_us", "unpriced")
_NAMES = ", ".join(AMOUNTS)
_VALUES = ", ".join(f":{name}" for name in AMOUNTS)
_ELAPSED = """
    b.wall_us + CASE WHEN b.held > 0
        THEN greatest(0, extract(epoch FROM least(clock_timestamp(), b.clock_until) - b.clock_since) * 1000000)::bigint
        ELSE 0 END"""
_LIVE = f"""
    b.id, b.limits, b.revision, {", ".join(f"b.{name}, b.held_{name}" for name in AMOUNTS)}, {_ELAPSED} AS elapsed_us"""

_LOCKED = text(f"""
    SELECT {_LIVE}, l.owner, p.run_id IS NOT NULL AS paused
    FROM budgets b
    LEFT JOIN budget_lines l ON l.run_id = :run_id AND l.key = :key
    LEFT JOIN budget_pauses p ON p.run_id = :run_id
    WHERE b.id = ANY(:accounts) ORDER BY b.id FOR NO KEY UPDATE OF b""")
_READ = text(f"SELECT {_LIVE} FROM budgets b WHERE b.id = ANY(:accounts) ORDER BY b.id")
_LOCK = "SELECT id FROM budgets WHERE id = ANY(:accounts) ORDER BY id FOR NO KEY UPDATE"

# A clock that had run out while nobody settled is first brought up to where it stood still.
_HELD = text(f"""
    WITH line AS (
        INSERT INTO budget_lines (run_id, key, owner, accounts, {_NAMES}, wall_us)
        VALUES (:run_id, :key, :owner, to_jsonb(CAST(:accounts AS text[])), {_VALUES}, :wall_us)
        ON CONFLICT DO NOTHING RETURNING clock_timestamp() AS now
    )
    UPDATE budgets b SET
        {", ".join(f"held_{name} = b.held_{name} + :{name}" for name in AMOUNTS)},
        held = b.held + 1,
        wall_us = CASE WHEN b.held > 0 AND line.now > b.clock_until THEN {_ELAPSED} ELSE b.wall_us END,
        clock_since = CASE WHEN b.held > 0 AND line.now <= b.clock_until THEN b.clock_since ELSE line.now END,
        clock_until = greatest(
            CASE WHEN b.held > 0 THEN b.clock_until END, line.now + :wall_us * interval '1 microsecond')
    FROM line WHERE b.id = ANY(:accounts) RETURNING b.id""")

_ADOPTED = text("UPDATE budget_lines SET owner = :owner WHERE run_id = :run_id AND key = :key RETURNING key")


def _settling(lines: str, used: str) -> Any:
    """Take these lines out, and count ``used`` in their accounts; it names what a line's call took.

    The accounts are locked before the lines, as by who reserves.
    """
    totals = ", ".join(
        f"sum(taken.used_{name}) AS used_{name}, sum(taken.{name}) AS {name}" for name in AMOUNTS
    )
    return text(f"""
        WITH locked AS ({_LOCK}),
        line AS (DELETE FROM budget_lines WHERE {lines} AND (SELECT count(*) FROM locked) > 0 RETURNING *),
        taken AS (
            SELECT account.id AS account, line.*, {used}
            FROM line, jsonb_array_elements_text(line.accounts) AS account(id)),
        total AS (SELECT account, count(*) AS lines, {totals} FROM taken GROUP BY account)
        UPDATE budgets b SET
            {", ".join(f"{name} = b.{name} + total.used_{name}" for name in AMOUNTS)},
            {", ".join(f"held_{name} = b.held_{name} - total.{name}" for name in AMOUNTS)},
            held = b.held - total.lines,
            wall_us = CASE WHEN b.held = total.lines THEN {_ELAPSED} ELSE b.wall_us END
        FROM total WHERE b.id = total.account RETURNING b.id""")


_SETTLED = _settling(
    "run_id = :run_id AND key = :key AND owner = :owner",
    ", ".join(f"CAST(:{name} AS bigint) AS used_{name}" for name in AMOUNTS),
)
# A processor can't have worked longer than the call was open.
_LOST_CPU = """
    CASE WHEN line.wall_us = 0 THEN line.cpu_us ELSE (line.cpu_us *
        least(1.0, extract(epoch FROM clock_timestamp() - line.at) * 1000000 / line.wall_us))::bigint END"""
_AT_WORST = ", ".join(
    f"{_LOST_CPU if name == 'cpu_us' else f'line.{name}'} AS used_{name}" for name in AMOUNTS
)
_LOST_ONE = _settling("run_id = :run_id AND key = :key", _AT_WORST)
_LOST_ALL = _settling("run_id = :run_id", _AT_WORST)

_ACCOUNTS_OF_LINES = text("""
    SELECT DISTINCT jsonb_array_elements_text(accounts) AS id FROM budget_lines WHERE run_id = :run_id ORDER BY id""")

_METER = text("""
    INSERT INTO budget_meters AS m (run_id, sandbox, seen_us) VALUES (:run_id, :sandbox, 0)
    ON CONFLICT (run_id) DO UPDATE SET run_id = m.run_id RETURNING sandbox, seen_us""")
_METERED = text("""
    UPDATE budget_meters SET sandbox = :sandbox, seen_us = :seen_us, used_us = used_us + :more WHERE run_id = :run_id""")

# The runs of tasks from before there were such books have their use in their rows.
_OPENED = text("""
    INSERT INTO budgets (id, organisation_id, task_id, limits, turns, tokens, cost_nano)
    SELECT t.id, t.organisation_id, t.id, t.budget,
        coalesce(sum(r.turns), 0), coalesce(sum(r.tokens_in + r.tokens_out), 0),
        coalesce(ceil(sum(r.cost_usd) * 1000000000), 0)
    FROM tasks t LEFT JOIN runs r ON r.task_id = t.id WHERE t.id = :task_id GROUP BY t.id
    ON CONFLICT DO NOTHING""")
_CHAIN = text("""
    WITH RECURSIVE line AS (
        SELECT id, parent_run_id FROM runs WHERE id = :run_id
        UNION ALL SELECT r.id, r.parent_run_id FROM runs r JOIN line ON r.id = line.parent_run_id
    )
    SELECT b.id FROM budgets b JOIN line ON b.id = line.id""")


@dataclass(frozen=True)
class Held:
    """What is held for a call. ``lost`` says that an earlier attempt at it was killed and is counted at its worst."""

    run_id: str
    key: str
    owner: str
    accounts: tuple[str, ...]
    lost: bool = False
    was_paused: bool = False


async def open_budget(session: AsyncSession, task_id: str) -> None:
    """Make the books of a task where there are none yet."""
    await session.execute(_OPENED, {"task_id": task_id})


async def give_share(session: AsyncSession, run: RunRow, limits: Budget) -> None:
    """Give a child run limits of its own, within its task's, for itself and its own children."""
    row = BudgetRow(
        id=run.id,
        organisation_id=run.organisation_id,
        task_id=run.task_id,
        limits=limits.model_dump(mode="json"),
    )
    session.add(row)
    await session.flush()


async def accounts_of(session: AsyncSession, run_id: str, task_id: str) -> list[str]:
    """The budgets that a run's calls count in: its task's, and every share it and its parents were given."""
    await open_budget(session, task_id)
    shares = (await session.execute(_CHAIN, {"run_id": run_id})).scalars()
    return sorted([*shares, task_id])


async def reserve(
    session: AsyncSession, accounts: Sequence[str], run_id: str, key: str, need: Need, *, adopt: bool
) -> Held | Refusal:
    """Hold what a call may take at most, in all its accounts or in none.

    A call found held was cut off by a kill. ``adopt`` takes what is held over, for calls whose journal knows what
    came of them; else that attempt is counted at its worst, and this one is held beside it.
    """
    owner, lost = secrets.token_hex(16), False
    name = {"run_id": run_id, "key": key, "accounts": list(accounts)}
    rows = await _locked(session, name)
    held = Held(run_id, key, owner, tuple(accounts), was_paused=rows[0]["paused"])
    if any(row["owner"] for row in rows):
        if adopt and (await session.execute(_ADOPTED, {**name, "owner": owner})).all():
            return held
        lost = bool((await session.execute(_LOST_ONE, name)).all())
        rows = await _locked(session, name)
    for row in rows:
        if (refused := refusal(_account(row), need.most)) is not None:
            return refused
    values = {**name, "owner": owner, "wall_us": need.wall_us, **asdict(need.most)}
    if not (await session.execute(_HELD, values)).all():
        # Taken between the look and the lock, by a worker that this one is about to replace or be replaced by.
        return await reserve(session, accounts, run_id, key, need, adopt=adopt)
    return replace(held, lost=lost)


async def _locked(session: AsyncSession, name: dict[str, Any]) -> Sequence[RowMapping]:
    rows = (await session.execute(_LOCKED, name)).mappings().all()
    if len(rows) < len(name["accounts"]):
        # The transaction that opened the books was rolled back; a share is there before its run is.
        for account in name["accounts"]:
            await open_budget(session, account)
        rows = (await session.execute(_LOCKED, name)).mappings().all()
    if len(rows) != len(name["accounts"]):
        raise LookupError(f"of the budgets {name['accounts']} some are missing")
    return rows


async def settle(session: AsyncSession, held: Held, used: Amount) -> bool:
    """Count what a call took and give back the rest; False when it was settled before, or is somebody else's by now."""
    name = {"run_id": held.run_id, "key": held.key, "owner": held.owner, "accounts": list(held.accounts)}
    return bool((await session.execute(_SETTLED, {**name, **asdict(used)})).all())


async def settle_lost(session: AsyncSession, run_id: str, key: str | None = None) -> bool:
    """Count what is held for a call, or all that is held for a run, at its worst: nobody will say what came of it."""
    open_lines = await session.scalars(_ACCOUNTS_OF_LINES, {"run_id": run_id})
    if not (accounts := list(open_lines)):
        return False
    statement = _LOST_ALL if key is None else _LOST_ONE
    return bool(
        (await session.execute(statement, {"run_id": run_id, "accounts": accounts, "key": key})).all()
    )


async def read_meter(session: AsyncSession, run_id: str, sandbox: str, whole_us: int) -> int:
    """Return the CPU time that was not counted yet of what a sandbox says it used in all, and count it as seen."""
    row = (await session.execute(_METER, {"run_id": run_id, "sandbox": sandbox})).one()
    more = max(0, whole_us - row.seen_us) if row.sandbox == sandbox else whole_us
    if more or row.sandbox != sandbox:
        values = {"run_id": run_id, "sandbox": sandbox, "seen_us": whole_us, "more": more}
        await session.execute(_METERED, values)
    return more


async def lock_budget(session: AsyncSession, task_id: str) -> None:
    """Nobody reserves or settles until this transaction has ended."""
    await open_budget(session, task_id)
    await session.execute(text(_LOCK), {"accounts": [task_id]})


async def read_accounts(session: AsyncSession, accounts: Sequence[str]) -> list[Account]:
    rows = (await session.execute(_READ, {"accounts": list(accounts)})).mappings()
    return [_account(row) for row in rows]


async def set_limits(session: AsyncSession, task_id: str, limits: Budget) -> None:
    """Change a task's limits, here and where the task is shown; its budget is locked."""
    row = await session.get_one(BudgetRow, task_id, populate_existing=True)
    row.limits, row.revision = limits.model_dump(mode="json"), row.revision + 1
    task = await session.get_one(TaskRow, task_id)
    task.budget = row.limits
    await session.flush()


async def get_pause(session: AsyncSession, run_id: str) -> BudgetPauseRow | None:
    return await session.get(BudgetPauseRow, run_id, populate_existing=True)


async def keep_pause(session: AsyncSession, run: RunRow, values: dict[str, Any]) -> None:
    """Write down what a run waits for; one that was paused before keeps when that was."""
    fixed = {"run_id": run.id, "organisation_id": run.organisation_id, "task_id": run.task_id}
    changed = {name: values[name] for name in ("accounts", "need", "message")}
    statement = insert(BudgetPauseRow).values(**fixed, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=changed))


async def drop_pause(session: AsyncSession, run_id: str) -> None:
    await session.execute(text("DELETE FROM budget_pauses WHERE run_id = :run_id"), {"run_id": run_id})


async def pauses_of(session: AsyncSession, task_id: str) -> list[BudgetPauseRow]:
    """The runs of a task that wait for its budget, longest first."""
    query = select(BudgetPauseRow).where(BudgetPauseRow.task_id == task_id, ~BudgetPauseRow.given_up)
    rows = await session.scalars(query.order_by(BudgetPauseRow.paused_at, BudgetPauseRow.run_id))
    return list(rows)


async def due_pauses(session: AsyncSession, now: datetime, limit: int = 100) -> list[BudgetPauseRow]:
    query = select(BudgetPauseRow).where(BudgetPauseRow.expires_at <= now, ~BudgetPauseRow.given_up)
    return list(await session.scalars(query.order_by(BudgetPauseRow.expires_at).limit(limit)))


async def pause_holds(session: AsyncSession, run_id: str) -> bool:
    """Whether the run is still paused: nobody gave it up, and its next call still does not fit."""
    row = await get_pause(session, run_id)
    return row is not None and not row.given_up and await still_refused(session, row)


async def still_refused(session: AsyncSession, row: BudgetPauseRow) -> bool:
    """Whether what the run waits for would be refused for good as things stand now."""
    found = [refusal(account, Amount(**row.need)) for account in await read_accounts(session, row.accounts)]
    return any(refused is not None and refused.for_good for refused in found)


async def task_budget(session: AsyncSession, task: TaskRow) -> TaskBudget:
    """Where a task's budget stands."""
    found = await read_accounts(session, [task.id])
    paused = [
        BudgetPause(
            run_id=row.run_id, message=row.message, paused_at=row.paused_at, expires_at=row.expires_at
        )
        for row in await pauses_of(session, task.id)
    ]
    if not found:
        return TaskBudget(
            limits=Budget.model_validate(task.budget), used=Usage(), reserved=Usage(), paused=paused
        )
    account = found[0]
    return TaskBudget(
        limits=account.limits,
        used=usage(account.used, account.elapsed_us),
        reserved=usage(account.reserved),
        paused=paused,
    )


def _account(row: RowMapping) -> Account:
    return Account(
        id=row["id"],
        limits=Budget.model_validate(row["limits"]),
        used=Amount(**{name: row[name] for name in AMOUNTS}),
        reserved=Amount(**{name: row[f"held_{name}"] for name in AMOUNTS}),
        elapsed_us=int(row["elapsed_us"]),
        revision=row["revision"],
    )
