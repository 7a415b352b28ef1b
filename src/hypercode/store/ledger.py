"""Journal and audit of a tool call, each side in one statement: the call is taken, the call has ended.

That makes two trips to Postgres and two commits of a call. What is out of the ordinary (a repeated key, a refusal, a
grant that does not fit) changes nothing here and is told by None: ``tools/ledger.py`` then looks more closely.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypercode.domain.grant import Grant
from hypercode.domain.run import RunStatus
from hypercode.store.audit import AuditedCall, appending, values
from hypercode.store.database import Statements
from hypercode.store.journal import DONE, RUNNING, UNKNOWN

_ENDED = ", ".join(f"'{status.value}'" for status in RunStatus if status.ended)

_RUN = f"""
    run AS (
        SELECT sandbox_id FROM runs
        WHERE id = %(run_id)s AND organisation_id = %(organisation_id)s AND project_id = %(project_id)s
            AND task_id = %(task_id)s AND workspace_id = %(workspace_id)s AND role = %(role)s
            AND status NOT IN ({_ENDED})
            AND (CAST(%(parent)s AS text) IS NULL OR parent_run_id = %(parent)s)
    )"""

_CLAIMED = f"""
    claimed AS (
        INSERT INTO journal (run_id, key, organisation_id, project_id, tool, arguments_sha256, state, owner)
        SELECT %(run_id)s, %(key)s, %(organisation_id)s, %(project_id)s, %(tool)s, %(arguments_sha256)s, '{RUNNING}', %(owner)s
        FROM run
        ON CONFLICT DO NOTHING
        RETURNING key
    )"""

_CLOSED = f"""
    closed AS (
        UPDATE journal SET state = %(state)s, result = CAST(%(result)s AS jsonb), ended_at = now()
        WHERE run_id = %(run_id)s AND key = %(key)s AND owner = %(owner)s AND state = '{RUNNING}'
    )"""


@dataclass(frozen=True)
class TakenCall:
    """A call that is written down as running, and the sandbox of its run."""

    sandbox_id: str | None


async def take_call(
    connection: Statements, grant: Grant, call: AuditedCall, key: str | None, decision: dict[str, Any]
) -> TakenCall | None:
    """Write down that a call begins: its key is taken, its decision stands in the audit. None: nothing was written."""
    parameters = values(call, "decision", decision) | {
        "task_id": grant.task_id,
        "workspace_id": grant.workspace_id,
        "role": grant.role.value,
        "parent": grant.lineage[-1] if grant.lineage else None,
    }
    if key is not None:
        parameters |= {"key": key, "owner": decision["owner"]}
    row = await (await connection.execute(_taking(keyed=key is not None), parameters)).fetchone()
    return None if row is None else TakenCall(row[0])


async def end_call(
    connection: Statements,
    call: AuditedCall,
    key: str | None,
    outcome: dict[str, Any],
    result: dict[str, Any] | None,
) -> None:
    """Write down what a call came to; ``result`` None means unknown. A key that was taken over or given up stays."""
    parameters = values(call, "outcome", outcome)
    if key is not None:
        parameters |= {
            "key": key,
            "owner": outcome["owner"],
            "state": UNKNOWN if result is None else DONE,
            "result": None if result is None else json.dumps(result, ensure_ascii=False),
        }
    await connection.execute(_ending(keyed=key is not None), parameters)


@cache
def _taking(*, keyed: bool) -> bytes:
    parts = [_RUN, _CLAIMED, appending("FROM claimed")] if keyed else [_RUN, appending("FROM run")]
    return f"WITH {', '.join(parts)} SELECT run.sandbox_id FROM run, appended".encode()


@cache
def _ending(*, keyed: bool) -> bytes:
    parts = [_CLOSED, appending()] if keyed else [appending()]
    return f"WITH {', '.join(parts)} SELECT seq FROM appended".encode()
