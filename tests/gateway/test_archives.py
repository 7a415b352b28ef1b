"""A run that is archived is answered for like any other."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hypercode.domain.attestation import Grade
from hypercode.domain.event import NoticeRaised, RunFinished, TestCounts
from hypercode.domain.run import RunStatus
from hypercode.events.log import append
from hypercode.settings import Settings
from hypercode.store.archives import archive_run
from hypercode.store.database import Database
from hypercode.store.objects import open_objects
from hypercode.store.runs import get_run, update_run

pytestmark = pytest.mark.anyio
END = RunFinished(
    status=RunStatus.CANCELLED, proof=Grade.UNPROVED, reason="Cancelled.", verified=False, attestation=None, diff=None,
    protected_paths=[], tests=TestCounts(passed=0, failed=0), cost=0.1, tokens_in=1, tokens_out=1, turns=1, elapsed_s=0.25,
    error_code="CANCELLED", error_message="é\u2028", error_hint=None,
)  # fmt: skip


async def test_an_archived_run_and_its_events_by_cursor(
    admin: Any,
    new_task: Callable[..., Awaitable[dict[str, str]]],
    empty_database: Database,
    settings: Settings,
) -> None:
    run_id = (await new_task())["run_id"]
    async with empty_database.transaction() as session:
        run = await get_run(session, run_id)
        for number in range(4):
            await append(
                session,
                run.id,
                f"note:{number}",
                [NoticeRaised(level="info", code="N", message=str(number), hint="")],
            )
        await append(session, run.id, "finished", [END])
        await update_run(session, run_id, status=RunStatus.CANCELLED.value, ended_at=datetime.now(UTC))

    async def page(**cursor: int) -> dict[str, Any]:
        answer = await admin.client.get(
            f"/api/v1/runs/{run_id}/events", params=cursor, headers={"accept": "application/json"}
        )
        assert answer.status_code == 200
        return answer.json()

    async def stream(after: int) -> list[dict[str, Any]]:
        answer = await admin.client.get(f"/api/v1/runs/{run_id}/events", params={"after": after})
        lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    before = await page()
    assert [frame for frame in await stream(0) if "seq" in frame] == before["items"]
    async with empty_database.transaction() as session:
        await archive_run(session, open_objects(settings), run_id)
    assert await page() == before
    assert (await page(after=2, limit=2))["items"] == before["items"][2:4]
    assert (await admin.client.get(f"/api/v1/runs/{run_id}")).json()["status"] == "cancelled"
    assert [frame for frame in await stream(0) if "seq" in frame] == before["items"]
    assert await stream(len(before["items"])) == [{"type": "end"}]
