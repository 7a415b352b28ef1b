"""Accepting tasks, and listing them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from biscuit_auth import KeyPair, PrivateKey
from sqlalchemy import func, select

from hypercode.domain.run import RunStatus
from hypercode.domain.task import NewTask
from hypercode.gateway.acceptance import accept_task
from hypercode.policy import grants
from hypercode.runs.attempts import read_grant_key
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.models import ModelInfo, announce_models
from hypercode.store.runs import update_run
from hypercode.store.tables import RunEventRow, RunRow, TaskRow
from hypercode.store.users import to_domain

pytestmark = pytest.mark.anyio
Make = Callable[..., Awaitable[dict[str, str]]]


async def is_queued(database: Database, run_id: str) -> bool:
    async with database.transaction() as session:
        return (await session.get_one(RunRow, run_id)).queued_at is not None


async def test_an_accepted_task_stands_in_the_queue_with_a_grant_and_its_first_event(
    new_task: Make, admin: Any, empty_database: Database, settings: Settings
) -> None:
    accepted = await new_task(checks=["python -m pytest -q"], require="regression_only")

    detail = (await admin.client.get(f"/api/v1/tasks/{accepted['task_id']}")).json()
    assert detail["task"]["model"] == "builtin/repair"
    assert detail["task"]["checks"] == ["python -m pytest -q"]
    assert detail["task"]["require"] == "regression_only"
    assert [(run["id"], run["status"], run["role"]) for run in detail["runs"]] == [
        (accepted["run_id"], "queued", "coder")
    ]
    assert await is_queued(empty_database, accepted["run_id"])
    events = await admin.client.get(
        f"/api/v1/runs/{accepted['run_id']}/events", headers={"Accept": "application/json"}
    )
    assert [(event["seq"], event["type"]) for event in events.json()["items"]] == [(1, "run.queued")]
    assert events.json()["items"][0]["payload"]["routed_by"] == "rule: builtin/repair makes no plans"
    async with empty_database.transaction() as session:
        run = await session.get_one(RunRow, accepted["run_id"])
    private = PrivateKey(read_grant_key(settings.keys_dir))
    public = str(KeyPair.from_private_key(private).public_key)
    grant = grants.verify(public, run.grant_token, datetime.now(UTC))
    assert (grant.run_id, grant.workspace_id, grant.task_id) == (run.id, run.workspace_id, run.task_id)


async def test_a_failure_anywhere_leaves_nothing(
    admin: Any, project_id: str, empty_database: Database, settings: Settings
) -> None:
    request = NewTask(project_id=project_id, prompt="Fix it.")
    run_ids: list[str] = []

    async def accept_then_fail() -> None:
        async with empty_database.transaction() as session:
            accepted = await accept_task(
                session, read_grant_key(settings.keys_dir), to_domain(admin.user), request
            )
            run_ids.append(accepted.run_id)
            raise ConnectionError("the last statement failed")

    with pytest.raises(ConnectionError):
        await accept_then_fail()

    async with empty_database.transaction() as session:
        for table in (TaskRow, RunRow, RunEventRow):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table


async def test_one_idempotency_key_is_one_task_also_at_the_same_time(
    admin: Any, project_id: str, empty_database: Database
) -> None:
    body = {"project_id": project_id, "prompt": "Fix it."}
    headers = {"Idempotency-Key": "key-12345"}

    async def post(**change: str) -> Any:
        return await admin.client.post("/api/v1/tasks", json={**body, **change}, headers=headers)

    answers = await asyncio.gather(*(post() for _ in range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    async with empty_database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(RunRow)) == 1
    assert (await post(prompt="Something else.")).status_code == 409


async def test_pages_hold_every_task_once_newest_first(
    new_task: Make, admin: Any, empty_database: Database, new_person: Callable[..., Awaitable[Any]]
) -> None:
    made = [await new_task(prompt=f"Task {number}") for number in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin.client.get("/api/v1/tasks", params={"limit": 2, "cursor": cursor})).json()
        seen += [item["task"]["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [task["task_id"] for task in reversed(made)]

    async with empty_database.transaction() as session:
        await update_run(session, made[1]["run_id"], status=RunStatus.FAILED.value)
    failed = (await admin.client.get("/api/v1/tasks", params={"status": "failed"})).json()
    assert [item["run"]["id"] for item in failed["items"]] == [made[1]["run_id"]]
    stranger = await new_person(organisation="org_b")
    assert (await stranger.client.get("/api/v1/tasks")).json()["items"] == []
    assert (await stranger.client.get(f"/api/v1/tasks/{made[0]['task_id']}")).status_code == 404


async def test_the_first_model_that_a_worker_announced_is_the_default(
    new_task: Make, admin: Any, empty_database: Database
) -> None:
    entries = [
        ModelInfo(name="openai:big", label="Big", available=False, note="No key is set."),
        ModelInfo(name="anthropic:good", label="Good", available=True, note=""),
    ]
    async with empty_database.transaction() as session:
        await announce_models(session, entries)
    models = (await admin.client.get("/api/v1/models")).json()
    assert models["default"] == "anthropic:good"
    assert [model["name"] for model in models["items"]] == ["openai:big", "anthropic:good", "builtin/repair"]
    accepted = await new_task()
    run = (await admin.client.get(f"/api/v1/runs/{accepted['run_id']}")).json()
    assert run["model"] == "anthropic:good"


BAD_TASKS: list[tuple[dict[str, Any], int, str | None]] = [
    ({"prompt": ""}, 422, "prompt"),
    ({"prompt": "   "}, 422, "prompt"),
    ({"prompt": None}, 422, "prompt"),
    ({"prompt": "x" * 100_001}, 422, "prompt"),
    ({"prompt": "nul \0 byte"}, 422, "prompt"),
    ({"project_id": "prj_none"}, 404, None),
    ({"model": "gpt"}, 422, None),
    ({"model": "openai:two words"}, 422, None),
    ({"routing": "reviewer"}, 422, "routing"),
    ({"checks": ["python -c 'open"]}, 422, "checks.0"),
    ({"checks": ["  "]}, 422, "checks.0"),
    ({"checks": ["true"] * 21}, 422, "checks"),
    ({"require": "proof"}, 422, "require"),
    ({"budget": {"max_turns": 0}}, 422, "budget.max_turns"),
    ({"budget": {"max_beer": 1}}, 422, "budget.max_beer"),
    ({"surprise": 1}, 422, "surprise"),
]


async def test_bad_tasks_are_refused_with_the_field(admin: Any, project_id: str) -> None:
    for change, status, field in BAD_TASKS:
        body = {"project_id": project_id, "prompt": "Fix it.", **change}
        answer = await admin.client.post("/api/v1/tasks", json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
        if field:
            assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_scripted_models_read_files_so_only_admins_may_name_one(
    new_person: Callable[..., Awaitable[Any]], project_id: str
) -> None:
    member = await new_person(role="member")
    body = {"project_id": project_id, "prompt": "Fix it.", "model": "scripted:/etc/passwd"}
    assert (await member.client.post("/api/v1/tasks", json=body)).status_code == 403


@pytest.mark.parametrize("cursor", ["x", "====", "bm90IGEgZGF0ZQ==", "MjAyNi0wMS0wMQ==", "é"])
async def test_a_foreign_cursor_is_refused(admin: Any, cursor: str) -> None:
    assert (await admin.client.get("/api/v1/tasks", params={"cursor": cursor})).status_code == 422
