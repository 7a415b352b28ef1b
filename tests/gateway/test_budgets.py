"""A task's budget over the API: seen, raised by who may, never set below what was used."""

import pytest
from tests.gateway.conftest import NewPerson, Person

from hypercode.domain.budget import Amount, Need
from hypercode.domain.project import SourceKind
from hypercode.store.budgets import Held, accounts_of, reserve, settle
from hypercode.store.database import Database
from hypercode.store.projects import ensure_project

pytestmark = pytest.mark.anyio


async def new_task(person: Person, database: Database) -> tuple[str, str]:
    async with database.transaction() as session:
        project = await ensure_project(
            session,
            person.user.organisation_id,
            source_kind=SourceKind.LOCAL_PATH,
            source="/nowhere",
            name="p",
        )
    body = {
        "project_id": project.id,
        "prompt": "Do it.",
        "model": "builtin/repair",
        "budget": {"max_tokens": 1000},
    }
    answer = (await person.client.post("/api/v1/tasks", json=body)).json()
    return answer["task_id"], answer["run_id"]


async def test_a_budget_is_seen_and_raised(new_person: NewPerson, empty_database: Database) -> None:
    member = await new_person("member")
    task_id, run_id = await new_task(member, empty_database)
    path = f"/api/v1/tasks/{task_id}/budget"
    async with empty_database.transaction() as session:
        accounts = await accounts_of(session, run_id, task_id)
        need = Need(Amount(turns=1, tokens=700), 1)
        held = await reserve(session, accounts, run_id, "model:1", need, adopt=False)
        assert isinstance(held, Held)
        await settle(session, held, Amount(turns=1, tokens=600))
        await reserve(session, accounts, run_id, "model:2", Need(Amount(turns=1, tokens=300), 1), adopt=False)
    seen = (await member.client.get(path)).json()
    assert (seen["used"]["tokens"], seen["reserved"]["tokens"], seen["limits"]["max_tokens"]) == (
        600,
        300,
        1000,
    )
    assert (await member.client.get(f"/api/v1/tasks/{task_id}")).json()["budget"] == seen

    below = await member.client.post(path, json={"max_tokens": 899})
    assert (below.status_code, below.json()["code"]) == (409, "CONFLICT")
    raised = await member.client.post(path, json={"max_tokens": 5000, "max_wall_s": None})
    assert raised.json()["limits"] == {
        "max_turns": 200, "max_tokens": 5000, "max_cost_usd": None, "max_wall_s": None, "max_cpu_s": None,
    }  # fmt: skip
    assert (await member.client.get(f"/api/v1/tasks/{task_id}")).json()["task"]["budget"][
        "max_tokens"
    ] == 5000
    for body in ({"max_turns": 0}, {"max_turns": 1e30}, {"max_beer": 1}, {"max_cost_usd": "NaN"}, []):
        assert (await member.client.post(path, json=body)).status_code == 422, body

    stranger, other, maintainer = (
        await new_person("member"),
        await new_person("admin", "org_b"),
        await new_person("maintainer"),
    )
    assert (await stranger.client.post(path, json={"max_turns": 300})).status_code == 403
    assert (await other.client.post(path, json={"max_turns": 300})).status_code == 404
    assert (await other.client.get(path)).status_code == 404
    assert (await maintainer.client.post(path, json={"max_turns": 300})).status_code == 200
