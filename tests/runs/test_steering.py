"""Commands to runs at the database: taken once, settled once, whoever is killed or comes at the same time."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text
from tests.fixtures.people import person
from tests.fixtures.rows import make_run

from hypercode.domain.errors import Conflict
from hypercode.domain.event import RunStatusChanged
from hypercode.domain.ids import new_id
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus
from hypercode.domain.steering import MAX_PENDING, NewCommand, RunCommand, Verb
from hypercode.events import log
from hypercode.runs.ending import Outcome, write_end
from hypercode.runs.eras import Span, line_to, snapshot_on
from hypercode.runs.going_back import apply_rewinds
from hypercode.runs.inbox import INTERRUPTED, words_after, words_before
from hypercode.runs.interruption import outcomes_so_far
from hypercode.runs.services import Services
from hypercode.runs.taking_up import take_up
from hypercode.runs.waiting import Waiting
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.runs import create_run, get_run, locked_after_its_parent, locked_run, update_run
from hypercode.store.steering import Draft, add_command, commands_of
from hypercode.store.tables import JournalRow, SnapshotRow

pytestmark = pytest.mark.anyio
COMMAND: TypeAdapter[NewCommand] = TypeAdapter(NewCommand)


async def tell(
    database: Database, run_id: str, verb: str, *, key: str | None = None, **words: Any
) -> RunCommand:
    async with database.transaction() as session:
        command = COMMAND.validate_python({"verb": verb, **words})
        return await (await person(session, run_id)).give(await get_run(session, run_id), command, key=key)


async def begun(database: Database, *, parent: str | None = None) -> str:
    if parent is None:
        run_id = await make_run(database)
    else:
        async with database.transaction() as session:
            above = await get_run(session, parent)
            run_id = new_id("run")
            await create_run(
                session, id=run_id, organisation_id=above.organisation_id, project_id=above.project_id,
                task_id=above.task_id, parent_run_id=parent, plan_item_id="a", goal="g", role=AgentRole.CODER,
                model="builtin/repair", workspace_id=new_id("workspace"), grant_token="",
            )  # fmt: skip
    async with database.transaction() as session:
        await update_run(session, run_id, started_at=datetime.now(UTC), status="running")
    return run_id


async def states(database: Database, run_id: str) -> list[tuple[str, str, str]]:
    async with database.transaction() as session:
        return [(row.verb, row.state, row.code) for row in await commands_of(session, run_id)]


async def told(database: Database, run_id: str) -> list[str]:
    async with database.transaction() as session:
        return [event.type for event in await log.read(session, run_id)]


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path), database, *[None] * 4)  # type: ignore[arg-type]


async def test_a_step_that_is_done_again_takes_the_same_words_and_no_other_step_does(
    database: Database,
) -> None:
    run_id = await begun(database)
    for words in ("one", "two"):
        await tell(database, run_id, "steer", text=words)
    await tell(database, run_id, "interrupt")

    async def take(step: str) -> list[str]:
        async with database.transaction() as session:
            return await words_before(session, run_id, step)

    assert await take("model:1") == ["one", "two", INTERRUPTED]
    await tell(database, run_id, "steer", text="three")
    assert await take("model:1") == ["one", "two", INTERRUPTED, "three"]  # killed, and done again
    assert await take("model:2") == []
    assert await states(database, run_id) == [
        ("steer", "applied", ""), ("steer", "applied", ""), ("interrupt", "applied", ""), ("steer", "applied", ""),
    ]  # fmt: skip
    assert (await told(database, run_id)).count("command.settled") == 4


async def test_two_workers_that_take_at_once_settle_each_command_once(database: Database) -> None:
    run_id = await begun(database)
    for number in range(10):
        await tell(database, run_id, "steer", text=str(number))

    async def take(step: str) -> list[str]:
        async with database.transaction() as session:
            return await words_before(session, run_id, step)

    one, two = await asyncio.gather(take("model:1"), take("model:2"))
    assert sorted([*one, *two]) == [str(number) for number in range(10)]
    assert (await told(database, run_id)).count("command.settled") == 10


async def test_what_was_not_read_comes_before_the_next_goal(database: Database) -> None:
    run_id = await begun(database)
    await tell(database, run_id, "queue", text="goal 2")
    await tell(database, run_id, "queue", text="goal 3")
    await tell(database, run_id, "steer", text="wait")
    given: list[list[str]] = []
    for turn in range(4):
        async with database.transaction() as session:
            given.append(await words_after(session, run_id, f"model:{turn}"))
    assert given == [["wait"], ["goal 2"], ["goal 3"], []]


async def test_a_run_in_the_queue_is_cancelled_and_paused_without_a_worker(
    database: Database, services: Services
) -> None:
    paused = await make_run(database)
    assert (await tell(database, paused, "pause")).state == "applied"
    assert await take_up(services, paused, 0) is None  # its place in the queue is void
    assert (await tell(database, paused, "resume")).state == "applied"
    async with database.transaction() as session:
        run = await get_run(session, paused)
        assert (run.segment, run.parked_at, run.status) == (1, None, "queued")
    assert await take_up(services, paused, 1) is not None
    cancelled = await make_run(database)
    assert (await tell(database, cancelled, "cancel")).state == "applied"
    assert (await told(database, cancelled))[-2:] == ["run.status_changed", "run.finished"]
    assert await take_up(services, cancelled, 0) is None
    again = await tell(database, cancelled, "cancel")
    assert (again.state, again.code) == ("refused", "RUN_ENDED")
    assert (await told(database, cancelled))[-1] == "run.finished"  # after which nothing comes


async def test_a_pause_is_done_when_the_last_of_the_tree_is_parked_or_has_ended(
    database: Database, services: Services
) -> None:
    for _ in range(5):
        parent = await begun(database)
        children = [await begun(database, parent=parent) for _ in range(3)]
        pause = await tell(database, parent, "pause")
        assert pause.state == "requested"

        async def end(run_id: str) -> None:
            async with database.transaction() as session:
                run = await locked_after_its_parent(session, run_id)
                await write_end(session, run, Outcome(status=RunStatus.FAILED))

        parked = [Waiting(services, each, 0).park() for each in (parent, *children[:2])]
        await asyncio.gather(*parked, end(children[2]))
        assert await states(database, parent) == [("pause", "applied", "")]
        late = await begun(database, parent=parent)  # made by a call that was going on
        assert await Waiting(services, late, 0).park()
        await tell(database, parent, "resume")
        async with database.transaction() as session:
            runs = [await get_run(session, each) for each in (parent, *children[:2], late)]
        assert {(run.segment, run.pause_requested_at) for run in runs} == {(1, None)}


async def test_a_pause_and_a_resume_at_the_same_time_as_a_park(
    database: Database, services: Services
) -> None:
    run_id, segment = await begun(database), 0
    for _ in range(20):
        await tell(database, run_id, "pause")
        await asyncio.gather(Waiting(services, run_id, segment).park(), tell(database, run_id, "resume"))
        async with database.transaction() as session:
            run = await get_run(session, run_id)
        # Either the worker keeps the run, or the next segment has it.
        assert (run.parked_at, run.pause_requested_at) == (None, None)
        assert run.segment - segment in (0, 1)
        segment = run.segment
    assert {state for _, state, _ in await states(database, run_id)} <= {"applied", "withdrawn"}


async def test_what_can_not_be_done_is_refused_with_the_reason(database: Database) -> None:
    run_id = await begun(database)
    child = await begun(database, parent=run_id)
    assert (await tell(database, run_id, "resume")).code == "RUN_NOT_PAUSED"
    assert (await tell(database, run_id, "retry")).code == "RUN_NOT_ENDED"
    assert (await tell(database, run_id, "fork", at_seq=1)).code == "POINT_UNREACHABLE"
    assert (await tell(database, run_id, "cancel")).state == "requested"
    assert (await tell(database, run_id, "pause")).code == "RUN_BEING_CANCELLED"
    async with database.transaction() as session:
        await write_end(session, await locked_run(session, child), Outcome(status=RunStatus.CANCELLED))
    assert (await tell(database, child, "retry")).code == "RUN_IS_CHILD"
    full = await begun(database)
    async with database.transaction() as session:
        run = await get_run(session, full)
        for _ in range(MAX_PENDING):
            await add_command(session, run, Draft(Verb.STEER, "usr_x", "x"))
    assert (await tell(database, full, "steer", text="x")).code == "CONFLICT"


async def test_the_same_key_is_one_command_and_a_settled_one_stays(database: Database) -> None:
    run_id = await begun(database)
    one, two = await asyncio.gather(
        *[tell(database, run_id, "steer", key="k" * 8, text="once") for _ in range(2)]
    )
    assert one == two
    with pytest.raises(Conflict, match="another command"):
        await tell(database, run_id, "steer", key="k" * 8, text="twice")
    async with database.transaction() as session:
        withdrawn = await (await person(session, run_id)).withdraw(await get_run(session, run_id), one.id)
    assert withdrawn.state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn already"):
        async with database.transaction() as session:
            await (await person(session, run_id)).withdraw(await get_run(session, run_id), one.id)
    async with database.transaction() as session:
        assert await words_before(session, run_id, "model:1") == []


@pytest.mark.parametrize(
    "rubbish",
    [
        {}, {"verb": "explode"}, {"verb": "steer"}, {"verb": "steer", "text": "  "}, {"verb": "steer", "text": "a\0b"},
        {"verb": "queue", "text": "x" * 20_001}, {"verb": "pause", "text": "x"}, {"verb": "fork", "at_seq": 0},
        {"verb": "fork", "at_seq": 2**63}, {"verb": "rewind"}, {"verb": "rewind", "to_seq": "last"}, None, [],
    ],
)  # fmt: skip
def test_rubbish_is_no_command(rubbish: Any) -> None:
    with pytest.raises(ValidationError):
        COMMAND.validate_python(rubbish)


async def test_an_interrupted_step_answers_every_call_from_the_journal(database: Database) -> None:
    run_id = await begun(database)
    made = {"ok": True, "data": {"x": 1}, "text": "made", "parts": []}
    asks = {"ok": False, "data": {"code": "PENDING_APPROVAL"}, "text": "?", "parts": []}
    rows = [("tool:3.0", "done", made), ("tool:3.1", "unknown", None), ("tool:3.2", "done", asks)]
    rows += [("tool:3.3", "done", asks), ("tool:3.3+apr_1", "done", made), ("tool:3.30", "done", made)]
    async with database.transaction() as session:
        for key, state, result in rows:
            session.add(
                JournalRow(
                    run_id=run_id, key=key, organisation_id="o", project_id="p", tool="t", arguments_sha256="",
                    state=state, owner="x", result=result, started_at=datetime.now(UTC),
                )
            )  # fmt: skip
    async with database.transaction() as session:
        outcomes = await outcomes_so_far(session, run_id, [f"tool:3.{n}" for n in range(5)])
    assert [outcome.code for outcome in outcomes] == ["OK", "CANCELLED", "CANCELLED", "OK", "CANCELLED"]


async def test_the_line_back_goes_through_the_eras_and_finds_its_snapshots(database: Database) -> None:
    run_id = await begun(database)

    async def events(count: int) -> None:
        for _ in range(count):
            async with database.transaction() as session:
                run = await get_run(session, run_id)
                changed = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="")
                last = await log.append(session, run.id, new_id("request"), [changed])
                session.add(
                    SnapshotRow(
                        run_id=run_id, seq=last, organisation_id="o", project_id="p", workspace_id="w",
                        snapshot_id=f"{last:032x}", tree="", step_key=str(last), tool="", entries=0, bytes=0, stored=0,
                    )
                )  # fmt: skip

    async def rewind(seq: int) -> int:
        async with database.transaction() as session:
            run = await locked_run(session, run_id)
            await add_command(session, run, Draft(Verb.REWIND, "usr_x", seq=seq))
            assert await apply_rewinds(session, run)
            return int(
                await session.scalar(text("SELECT seq FROM run_heads WHERE run_id = :id"), {"id": run_id})
                or 0
            )

    await events(10)
    first = await rewind(4)  # 11 and 12 tell of it
    await events(3)
    second = await rewind(9)  # undone
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        assert await line_to(session, run, None) == [Span(2, second - 2, None), Span(0, 0, 9)]
        assert await line_to(session, run, first + 2) == [Span(1, 10, first + 2), Span(0, 0, 4)]
        found = {seq: await snapshot_on(session, run, seq) for seq in (3, 9, first, first + 2, second)}
    assert {seq: row and row.seq for seq, row in found.items()} == {
        3: 3, 9: 9, first: 4, first + 2: first + 2, second: 9,
    }  # fmt: skip
