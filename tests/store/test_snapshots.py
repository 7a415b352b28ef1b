"""Which snapshot a run's workspace was at an event."""

from datetime import UTC, datetime

import pytest
from tests.fixtures.rows import make_run

from hypercode.domain.snapshot import Snapshot
from hypercode.store.database import Database
from hypercode.store.runs import get_run
from hypercode.store.snapshots import add_snapshot, forget_snapshots, snapshot_at, snapshots_of, unneeded

pytestmark = pytest.mark.anyio


def taken(number: int) -> Snapshot:
    return Snapshot(snapshot_id=f"{number:032x}", tree=f"{number:064x}", entries=1, bytes=2, stored=3)


async def test_the_newest_at_or_before_an_event_and_a_repeat_changes_nothing(database: Database) -> None:
    run_id = await make_run(database)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        for seq in (3, 9, 9):
            await add_snapshot(session, run, seq, f"tool:{seq}", "sh_exec", taken(seq))
        await add_snapshot(session, run, 9, "tool:9", "sh_exec", taken(10))
    async with database.transaction() as session:
        assert await snapshot_at(session, run_id, 2) is None
        for seq, expected in ((3, 3), (8, 3), (9, 9), (100, 9)):
            row = await snapshot_at(session, run_id, seq)
            assert row is not None
            assert row.snapshot_id == f"{expected:032x}"
        assert [row.seq for row in await snapshots_of(session, run_id)] == [3, 9]


async def test_a_live_run_keeps_all_and_an_ended_one_what_has_a_row(database: Database) -> None:
    run_id = await make_run(database)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        await add_snapshot(session, run, 3, "tool:3", "sh_exec", taken(3))
        names = {run.workspace_id: [f"{each:032x}" for each in (3, 4)], "wsp_gone": [f"{5:032x}"]}
        assert await unneeded(session, names) == {"wsp_gone": [f"{5:032x}"]}
        run.ended_at = datetime.now(UTC)
        await session.flush()
        assert (await unneeded(session, names))[run.workspace_id] == [f"{4:032x}"]
        await forget_snapshots(session, run_id)
        assert (await unneeded(session, names))[run.workspace_id] == names[run.workspace_id]
