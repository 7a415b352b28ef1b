"""What we take from DBOS's table is what its steps returned: a contract, since the table is not ours."""

import asyncio
from typing import Any

import pytest
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from hypercode.runs.segments import finished_steps
from hypercode.store.database import Database
from hypercode.store.queue import segment_id

pytestmark = pytest.mark.anyio
RUN = "run_of_the_segments_contract"


async def test_finished_steps_of_earlier_segments_are_found_by_name(database: Database) -> None:
    config: DBOSConfig = {
        "name": "segments",
        "system_database_url": database.url,
        "application_version": "segments-1",
        "executor_id": "segments",
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
        "sys_db_pool_size": 2,
    }
    DBOS(config=config)

    @DBOS.workflow(name="contract")
    async def contract(results: dict[str, dict[str, Any]]) -> None:
        for name, result in results.items():

            async def give(result: dict[str, Any] = result) -> dict[str, Any]:
                return result

            await DBOS.run_step_async({"name": name}, give)

    DBOS.launch()
    try:
        first = {
            "begin": {"ok": {"a": [1, None, "ü"]}},
            "model:1": {"error": {"code": "X"}},
            "tools:1": {"parked": True},
        }
        second = {"tools:1": {"ok": {"b": 2.5}}, "tools:2": {"parked": True}}
        third = {"model:9": {"ok": {}}}
        for number, results in enumerate((first, second, third)):
            with SetWorkflowID(segment_id(RUN, number)):
                handle = await DBOS.start_workflow_async(contract, results)
            await handle.get_result(polling_interval_sec=0.05)
    finally:
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=5)
    async with database.transaction() as session:
        assert await finished_steps(session, RUN, 1) == {"begin": first["begin"], "model:1": first["model:1"]}
        assert await finished_steps(session, RUN, 2) == {
            "begin": first["begin"], "model:1": first["model:1"], "tools:1": second["tools:1"],
        }  # fmt: skip
