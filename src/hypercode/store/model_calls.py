"""A run's model calls in the journal: what there is to know before one, and what is kept of its reply. On the hot path."""

import json
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.database import Database
from hypercode.store.journal import DONE, WORKER

_BEFORE = b"""
    WITH RECURSIVE line AS (
        SELECT id, parent_run_id FROM runs WHERE id = %(run_id)s
        UNION SELECT r.id, r.parent_run_id FROM runs r JOIN line ON r.id = line.parent_run_id
    )
    SELECT (SELECT result FROM journal WHERE run_id = %(run_id)s AND key = %(key)s) AS reply,
        EXISTS (SELECT FROM secret_uses WHERE run_id IN (SELECT id FROM line)) AS given_secrets,
        EXISTS (SELECT FROM run_commands WHERE run_id = %(run_id)s AND (state = 'requested' OR step = %(key)s)) AS told"""

_KEPT = text(f"""
    WITH kept AS (
        INSERT INTO journal (run_id, key, organisation_id, project_id, tool, arguments_sha256, state, owner, result)
        SELECT id, :key, organisation_id, project_id, 'model', '', '{DONE}', '{WORKER}', CAST(:reply AS jsonb)
        FROM runs WHERE id = :run_id ON CONFLICT DO NOTHING RETURNING run_id
    )
    UPDATE runs SET tokens_in = tokens_in + :tokens_in, tokens_out = tokens_out + :tokens_out,
        cost_usd = cost_usd + :cost_usd, turns = :turn
    FROM kept WHERE runs.id = kept.run_id""")


@dataclass(frozen=True)
class Before:
    """``reply`` is one that came before a kill; ``told``: a person said something that may be for this call."""

    reply: dict[str, Any] | None
    given_secrets: bool
    told: bool


async def look_up(database: Database, run_id: str, key: str) -> Before:
    """One trip to Postgres, and no transaction."""
    async with database.single_statements() as connection:
        cursor = connection.cursor(row_factory=class_row(Before))
        found = await (await cursor.execute(_BEFORE, {"run_id": run_id, "key": key})).fetchone()
    if found is None:
        raise LookupError("a SELECT without FROM has one row")
    return found


@dataclass(frozen=True)
class Used:
    """What a reply took; the cost in USD."""

    turn: int
    tokens_in: int
    tokens_out: int
    cost_usd: float


async def keep_reply(session: AsyncSession, run_id: str, key: str, reply: dict[str, Any], used: Used) -> None:
    """Write the reply down and count it, once for a key."""
    values = {"run_id": run_id, "key": key, "reply": json.dumps(reply, ensure_ascii=False)}
    await session.execute(_KEPT, values | vars(used))
