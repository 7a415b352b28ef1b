"""Deciding approvals and answering questions: who may, once only, and what it sets going."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import Touched
from hypercode.events.approvals import expire_approvals
from hypercode.events.questions import expire_questions
from hypercode.settings import Settings
from hypercode.store.approvals import AskedCall, get_approval, request_approval
from hypercode.store.audit import AuditedCall
from hypercode.store.database import Database
from hypercode.store.questions import ask_question
from hypercode.store.runs import get_run, locked_run, update_run
from hypercode.store.tables import RunRow
from hypercode.tools.redaction import Redactor

pytestmark = pytest.mark.anyio
NewTask = Callable[..., Awaitable[dict[str, str]]]
LATER = timedelta(hours=1)


@pytest.fixture
async def run(new_task: NewTask, empty_database: Database) -> RunRow:
    """A run that a worker has taken from the queue."""
    run_id = (await new_task())["run_id"]
    async with empty_database.transaction() as session:
        row = await get_run(session, run_id)
        row.queued_at = None
        return row


async def ask(database: Database, run: RunRow, number: int = 0, *, life: timedelta = LATER) -> str:
    call = AuditedCall(
        run.id, run.organisation_id, run.project_id, f"call{number}", "sh_exec", f"{number:064d}"
    )
    asked = AskedCall(
        call=call,
        task_id=run.task_id,
        key=f"tool:{number}.0",
        arguments={"argv": ["rm", "-rf", f"build {number}"], "cwd": "."},
        touched=Touched(argv=("rm", "-rf", f"build {number}")),
        rule="coder.asks",
        reason="a person has to approve this call",
        policy_sha256="0" * 64,
        expires_at=datetime.now(UTC) + life,
    )
    async with database.transaction() as session:
        return (await request_approval(session, asked))[0].id


async def park(database: Database, run: RunRow) -> None:
    async with database.transaction() as session:
        row = await locked_run(session, run.id)
        row.parked_at, row.queued_at = datetime.now(UTC), None


async def place(database: Database, run: RunRow) -> tuple[int, bool]:
    """The run's segment, and whether that one stands in the queue."""
    async with database.transaction() as session:
        row = await get_run(session, run.id)
    return row.segment, row.queued_at is not None


async def events(admin: Any, run: RunRow) -> list[dict[str, Any]]:
    answer = await admin.client.get(f"/api/v1/runs/{run.id}/events", headers={"Accept": "application/json"})
    return [
        event["payload"]
        for event in answer.json()["items"]
        if event["type"].endswith(("decided", "answered"))
    ]


async def test_a_person_sees_the_exact_call_and_decides_once(
    admin: Any, run: RunRow, empty_database: Database
) -> None:
    approval = await ask(empty_database, run)
    (shown,) = (await admin.client.get("/api/v1/approvals?state=pending")).json()["items"]
    assert shown["id"] == approval
    assert shown["preview"] == {"kind": "command", "text": "rm -rf 'build 0'"}
    assert (shown["call_id"], shown["state"], shown["decided_by"]) == ("0.0", "pending", None)
    decision = {"decision": "approve", "scope": "once", "note": "Go on."}
    answer = await admin.client.post(f"/api/v1/approvals/{approval}/decision", json=decision)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "approved"
    assert answer.json()["decided_by"] == admin.user.name
    again = await admin.client.post(f"/api/v1/approvals/{approval}/decision", json={"decision": "deny"})
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    assert "approved" in again.json()["detail"]
    assert (await admin.client.get("/api/v1/approvals?state=pending")).json()["items"] == []
    (of_run,) = (await admin.client.get(f"/api/v1/runs/{run.id}/approvals")).json()["items"]
    assert of_run == (await admin.client.get(f"/api/v1/approvals/{approval}")).json()
    (told,) = await events(admin, run)
    assert (told["state"], told["scope"], told["by"], told["note"]) == ("approved", "once", "admin", "Go on.")
    # It was not parked: its worker waits in memory, and no segment is made.
    assert await place(empty_database, run) == (0, False)


async def test_who_may_decide(
    admin: Any, run: RunRow, empty_database: Database, new_person: Callable[..., Awaitable[Any]]
) -> None:
    member, maintainer = await new_person("member"), await new_person("maintainer")
    stranger = await new_person(organisation="org_b")
    approval, other = await ask(empty_database, run), await ask(empty_database, run, 1)
    path = f"/api/v1/approvals/{approval}"
    assert (await stranger.client.get(path)).status_code == 404
    assert (await stranger.client.post(f"{path}/decision", json={"decision": "approve"})).status_code == 404
    assert (await stranger.client.get(f"/api/v1/runs/{run.id}/approvals")).status_code == 404
    rule = {"decision": "approve", "scope": "rule"}
    refused = await member.client.post(f"{path}/decision", json=rule)
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    assert (await member.client.post(f"{path}/decision", json={**rule, "scope": "task"})).status_code == 200
    standing = f"/api/v1/approvals/{other}"
    assert (await maintainer.client.post(f"{standing}/decision", json=rule)).json()["scope"] == "rule"
    assert (await member.client.post(f"{standing}/withdrawal")).status_code == 403
    assert (await maintainer.client.post(f"{standing}/withdrawal")).json()["state"] == "withdrawn"
    assert (await maintainer.client.post(f"{standing}/withdrawal")).status_code == 409
    for body in (
        {"decision": "maybe"},
        {"decision": "approve", "scope": "ever"},
        {},
        {"decision": "deny", "x": 1},
    ):
        assert (await admin.client.post(f"{path}/decision", json=body)).status_code in (400, 422)


async def test_two_people_where_the_platform_wants_them(
    app: FastAPI, admin: Any, run: RunRow, empty_database: Database, new_person: Any, settings: Settings
) -> None:
    settings.approvals.by_another_person = True
    path = f"/api/v1/approvals/{await ask(empty_database, run)}/decision"
    refused = await admin.client.post(path, json={"decision": "approve"})
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    member = await new_person("member")
    assert (await member.client.post(path, json={"decision": "approve"})).status_code == 200
    other = f"/api/v1/approvals/{await ask(empty_database, run, 1)}/decision"
    assert (await admin.client.post(other, json={"decision": "deny"})).status_code == 200


async def test_a_parked_run_goes_on_as_its_next_segment(
    admin: Any, run: RunRow, empty_database: Database
) -> None:
    path = f"/api/v1/approvals/{await ask(empty_database, run)}/decision"
    await park(empty_database, run)
    assert (await admin.client.post(path, json={"decision": "approve"})).status_code == 200
    assert await place(empty_database, run) == (1, True)
    async with empty_database.transaction() as session:
        fresh = await get_run(session, run.id)
    assert (fresh.segment, fresh.parked_at) == (1, None)
    async with empty_database.transaction() as session:
        # A worker has taken it up; one that none ever did is ended by the request itself.
        await update_run(session, run.id, started_at=func.now())
    await park(empty_database, run)
    assert (await admin.client.post(f"/api/v1/runs/{run.id}/cancel")).json() == {"requested": True}
    assert await place(empty_database, run) == (2, True)


async def test_what_nobody_decides_expires_and_the_run_goes_on(
    admin: Any, run: RunRow, empty_database: Database
) -> None:
    approval = await ask(empty_database, run, life=timedelta(0))
    late = await ask(empty_database, run, 1)
    path = f"/api/v1/approvals/{approval}/decision"
    assert (await admin.client.post(path, json={"decision": "approve"})).status_code == 409
    await park(empty_database, run)
    assert await expire_approvals(empty_database) == 1
    assert await expire_approvals(empty_database) == 0
    assert await place(empty_database, run) == (1, True)
    assert [(told["approval_id"], told["state"], told["by"]) for told in await events(admin, run)] == [
        (approval, "expired", None)
    ]
    async with empty_database.transaction() as session:
        assert (await get_approval(session, run.organisation_id, late)).state == "pending"


async def test_the_list_goes_on_from_its_cursor(admin: Any, run: RunRow, empty_database: Database) -> None:
    made = [await ask(empty_database, run, number) for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await admin.client.get(f"/api/v1/approvals?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    assert (await admin.client.get("/api/v1/approvals?cursor=nonsense")).status_code in (400, 422)


async def test_a_question_is_answered_once(
    admin: Any, run: RunRow, empty_database: Database, new_person: Callable[..., Awaitable[Any]]
) -> None:
    grant = Grant(
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        task_id=run.task_id,
        run_id=run.id,
        workspace_id=run.workspace_id,
        role=AgentRole.CODER,
        expires_at=datetime.now(UTC) + LATER,
    )
    async with empty_database.transaction() as session:
        question, _ = await ask_question(session, grant, "Which?", ["a", "b"], datetime.now(UTC) + LATER)
        late, _ = await ask_question(session, grant, "Late?", [], datetime.now(UTC))
    await park(empty_database, run)
    path = f"/api/v1/questions/{question.id}/answer"
    stranger = await new_person(organisation="org_b")
    assert (await stranger.client.post(path, json={"answer": "a"})).status_code == 404
    assert (await admin.client.post(path, json={"answer": "  "})).status_code in (400, 422)
    answered = await admin.client.post(path, json={"answer": "neither <b>"})
    assert (answered.status_code, answered.json()["state"]) == (200, "answered")
    assert (await admin.client.post(path, json={"answer": "a"})).status_code == 409
    assert (
        await admin.client.post(f"/api/v1/questions/{late.id}/answer", json={"answer": "a"})
    ).status_code == 409
    assert await place(empty_database, run) == (1, True)
    assert await expire_questions(empty_database) == 1
    assert {told["state"] for told in await events(admin, run)} == {"answered", "expired"}
    listed = (await admin.client.get("/api/v1/questions?state=answered")).json()["items"]
    assert [(item["answer"], item["answered_by"]) for item in listed] == [("neither <b>", "admin")]
    assert len((await admin.client.get(f"/api/v1/runs/{run.id}/questions")).json()["items"]) == 2


async def test_what_is_kept_for_people_is_redacted(admin: Any, run: RunRow, empty_database: Database) -> None:
    call = AuditedCall(run.id, run.organisation_id, run.project_id, "call", "sh_exec", "0" * 64)
    argv = ("curl", "-u", "correct horse battery")
    asked = AskedCall(
        call=call,
        task_id=run.task_id,
        key="tool:0.0",
        arguments={"argv": list(argv)},
        touched=Touched(argv=argv),
        rule="coder.asks",
        reason="why",
        policy_sha256="0" * 64,
        expires_at=datetime.now(UTC) + LATER,
        redact=Redactor({"TOKEN": argv[2]}.items()).json,
    )
    async with empty_database.transaction() as session:
        await request_approval(session, asked)
    shown = (await admin.client.get("/api/v1/approvals")).text
    assert "correct horse" not in shown
    assert "[secret TOKEN]" in shown
