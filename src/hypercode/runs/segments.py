"""The steps that earlier segments of a run finished: read once when a segment begins, and never done again."""

from typing import Any, cast

from dbos import DBOSPortableJSONSerializer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.queue import segment_id

# DBOS's own call for this would itself become a step. tests/runs/test_segments.py holds the table to what stands here.
_FINISHED = text(
    "SELECT function_name, output FROM dbos.operation_outputs "
    "WHERE workflow_uuid = ANY(CAST(:ids AS text[])) AND output IS NOT NULL "
    "ORDER BY array_position(CAST(:ids AS text[]), workflow_uuid), function_id"
)
PARKED = "parked"


async def finished_steps(session: AsyncSession, run_id: str, before: int) -> dict[str, dict[str, Any]]:
    """Return results by the steps' names, in the order they were done. A step at which a segment was parked did not finish."""
    ids = [segment_id(run_id, number) for number in range(before)]
    rows = await session.execute(_FINISHED, {"ids": ids})
    serializer = DBOSPortableJSONSerializer()
    results = {name: cast(dict[str, Any], serializer.deserialize(output)) for name, output in rows}
    return {name: result for name, result in results.items() if PARKED not in result}
