"""Parking a run and deciding what it waits for never miss each other, whichever comes first."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.fixtures.people import person
from tests.fixtures.rows import make_run

from hypercode.domain.approval import Decision
from hypercode.domain.steering import Cancel, Verb
from hypercode.domain.tool_call import Touched
from hypercode.events.approvals import decide_approval
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import BUILT_IN
from hypercode.runs.services import Services
from hypercode.runs.waiting import Waiting
from hypercode.settings import Settings
from hypercode.store.approvals import AskedCall, request_approval
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.audit import AuditedCall
from hypercode.store.database import Database
from hypercode.store.runs import get_run, get_task_of, update_run
from hypercode.store.users import get_user, to_domain
from hypercode.verification.client import VerifierClient

pytestmark = pytest.mark.anyio
ROUNDS = 25


async def ask(database: Database, run_id: str, number: int) -> str:
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        call = AuditedCall(
            run_id, run.organisation_id, run.project_id, f"c{number}", "sh_exec", f"{number:064d}"
        )
        asked = AskedCall(
            call, run.task_id, f"tool:{number}", {"script": "x"}, Touched(), "r", "why", "0" * 64,
            datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip
        return (await request_approval(session, asked))[0].id


async def decide(database: Database, run_id: str, approval_id: str) -> None:
    async with database.transaction() as session:
        task = await get_task_of(session, await get_run(session, run_id))
        user = to_domain(await get_user(session, task.created_by))
        await decide_approval(session, user, approval_id, Decision(decision="approve"), Settings().approvals)


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    return Services(
        settings=Settings(data_dir=tmp_path),
        database=database,
        artifacts=ArtifactStore(tmp_path),
        platform=cast(PlatformClient, None),
        verifier=cast(VerifierClient, None),
        policy=BUILT_IN,
    )


async def test_a_decision_and_a_park_at_the_same_time(database: Database, services: Services) -> None:
    run_id = await make_run(database)
    segment = 0
    for number in range(ROUNDS):
        approval = await ask(database, run_id, number)
        parked, _ = await asyncio.gather(
            Waiting(services, run_id, segment).park(), decide(database, run_id, approval)
        )
        segment += parked
        async with database.transaction() as session:
            run = await get_run(session, run_id)
        # Either the worker keeps the run, or the next segment has it; never both, never neither.
        assert (run.segment, run.parked_at) == (segment, None)
        assert (run.queued_at is not None) == parked
        async with database.transaction() as session:
            (await get_run(session, run_id)).queued_at = None


async def test_who_is_late_does_not_go_on(database: Database, services: Services) -> None:
    run_id = await make_run(database)
    async with database.transaction() as session:
        await update_run(session, run_id, started_at=datetime.now(UTC))
    assert not await Waiting(services, run_id, 0).park()  # nothing to wait for
    approval = await ask(database, run_id, 0)
    assert await Waiting(services, run_id, 0).park()
    assert await Waiting(services, run_id, 0).park()  # after a kill between the two
    await decide(database, run_id, approval)
    assert await Waiting(services, run_id, 0).park()  # the next segment has the run
    await ask(database, run_id, 1)
    async with database.transaction() as session:
        await (await person(session, run_id)).give(await get_run(session, run_id), Cancel(verb=Verb.CANCEL))
    assert not await Waiting(services, run_id, 1).park()
