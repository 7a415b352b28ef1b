"""What checks reported on base trees, kept so that the same check on the same tree and image runs once."""

import hashlib
import json
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.tables import BaseResultRow, RunRow


def result_key(project_id: str, commit: str, image_id: str, argv: list[str], env: dict[str, str]) -> str:
    """Name a result. A commit's hash names its tree; the project keeps tenants apart."""
    text = json.dumps([project_id, commit, image_id, argv, sorted(env.items())])
    return hashlib.sha256(text.encode()).hexdigest()


async def find_base_result(session: AsyncSession, key: str) -> dict[str, Any] | None:
    row = await session.get(BaseResultRow, key)
    return None if row is None else row.report


async def keep_base_result(session: AsyncSession, run: RunRow, key: str, report: dict[str, Any]) -> None:
    """Keep a result; the first one stays, since a second could only differ by flakiness."""
    await session.execute(
        insert(BaseResultRow)
        .values(key=key, organisation_id=run.organisation_id, project_id=run.project_id, report=report)
        .on_conflict_do_nothing(index_elements=[BaseResultRow.key])
    )
