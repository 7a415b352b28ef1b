"""A call that waits for a person, in rounds with the SDK's own client: who may decide, and that it happens once."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client, MCPError, types
from sqlalchemy import select, update
from tests.tools.asked_client import (
    LEGACY,
    MODERN,
    Person,
    accepted,
    api_token,
    asked,
    asker,
    code,
    decide_on_the_web,
    named,
)
from tests.tools.killing import server
from tests.tools.test_approvals import CI, Write, Writing, Written
from tests.tools.test_kill_rounds import exact_books

from hypercode.domain.approval import Decision
from hypercode.domain.ids import new_id
from hypercode.domain.question import BY_CLIENT
from hypercode.events import log
from hypercode.policy.files import BUILT_IN
from hypercode.sandbox.base import Sandboxes
from hypercode.settings import ApprovalSettings
from hypercode.store.audit import read_audit
from hypercode.store.database import Database
from hypercode.store.tables import ApprovalRow, OrganisationRow, QuestionRow, RunRow, UserRow
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.questions import Questions
from hypercode.tools.registry import Registry, Tool

pytestmark = pytest.mark.anyio
ASKS = {"question": "Which database?", "options": ["Postgres", "SQLite"]}
YES, NO = Decision(decision="approve"), Decision(decision="deny", note="Leave CI alone.")


class Stand:
    """A served app, its tool, and a run of a coder."""

    def __init__(self, database: Database, socket: Path, token: str, run: RunRow, writing: Writing) -> None:
        self.database, self.socket, self.token, self.run = database, socket, token, run
        self.ran = writing.ran

    def client(self, *args: Any, **options: Any) -> Any:
        return asked(self.socket, self.token, *args, **options)

    async def only_approval(self) -> ApprovalRow:
        async with self.database.transaction() as session:
            return (await session.scalars(select(ApprovalRow).where(ApprovalRow.run_id == self.run.id))).one()

    async def only_question(self) -> QuestionRow:
        async with self.database.transaction() as session:
            return (await session.scalars(select(QuestionRow).where(QuestionRow.run_id == self.run.id))).one()

    async def outcomes(self) -> list[str]:
        """The audit's outcomes in order; every call has exactly one decision and one outcome."""
        await exact_books(self.database, self.run.id)
        async with self.database.transaction() as session:
            rows = await read_audit(session, self.run.id)
        return [row.body["outcome"] for row in rows if row.kind == "outcome"]

    async def on_the_web(self, decision: Decision) -> types.ElicitResult:
        """The person decides on the web while the client shows its form, and then accepts the form."""
        user = await asker(self.database, self.run)
        await decide_on_the_web(self.database, user, (await self.only_approval()).id, decision)
        return accepted()


@pytest.fixture
def rules() -> CallRules:
    return CallRules()


@pytest.fixture
async def stand(
    rules: CallRules,
    database: Database,
    keys: PlatformKeys,
    sockets: Path,
    listening: Any,
    minting: Any,
    new_run: Any,
) -> AsyncIterator[Stand]:
    writing, run = Writing(), await new_run()
    write = Tool("fs_write", "Write.", Write, Written, writing.run, read_only=False, destructive=True)
    tools = [write, *Questions(database, timedelta(hours=1)).tools()]
    apps = create_app(database, cast(Sandboxes, None), keys, Registry(tools), rules=rules)
    async with listening(apps.mcp, sockets / "tools.sock"):
        yield Stand(database, sockets / "tools.sock", minting.token(run), run, writing)


async def first_round(client: Client, tool: str = "fs_write", **arguments: Any) -> types.InputRequiredResult:
    result = await client.session.call_tool(
        tool, arguments or CI, meta=named("k1"), allow_input_required=True
    )
    assert isinstance(result, types.InputRequiredResult), result
    return result


async def repeat(
    client: Client,
    state: str | None,
    answer: types.ElicitResult | None = None,
    tool: str = "fs_write",
    **arguments: Any,
) -> Any:
    answers = None if answer is None else {"approval": answer, "question": answer}
    return await client.session.call_tool(
        tool, arguments or CI, meta=named("k1"), request_state=state,
        input_responses=cast(Any, answers), allow_input_required=True,
    )  # fmt: skip


@pytest.mark.parametrize("key", ["k1", None])
async def test_a_clients_yes_approves_nothing_and_a_persons_does(stand: Stand, key: str | None) -> None:
    """The agent's own client says yes in every way it can; the call goes on by the word given on the web."""
    person = Person(
        accepted(decision="approve", approved=True, confirm=True),
        accepted(decision="approve"),
        lambda: stand.on_the_web(YES),
    )
    async with stand.client(person) as client:
        done = await client.call_tool("fs_write", CI, meta=named(key) if key else None)
    assert (code(done), stand.ran) == ("OK", [CI["content"]])
    assert person.fields == [[], [], []]
    assert "on: push" in person.shown[0].message
    approval, user = await stand.only_approval(), await asker(stand.database, stand.run)
    assert (approval.state, approval.decided_by) == ("used", user.id)
    assert await stand.outcomes() == ["PENDING_APPROVAL", "OK"]


async def test_no_on_the_web_reaches_the_client(stand: Stand) -> None:
    async with stand.client(Person(lambda: stand.on_the_web(NO))) as client:
        done = await client.call_tool("fs_write", CI, meta=named("k1"))
    assert (code(done), stand.ran) == ("POLICY_DENIED", [])
    assert NO.note in str(done.content)
    assert await stand.outcomes() == ["PENDING_APPROVAL", "POLICY_DENIED"]


async def test_what_nobody_decides_in_time_is_refused(stand: Stand) -> None:
    async def time_is_over() -> types.ElicitResult:
        over = datetime.now(UTC) - timedelta(seconds=1)
        async with stand.database.transaction() as session:
            await session.execute(
                update(ApprovalRow).where(ApprovalRow.run_id == stand.run.id).values(expires_at=over)
            )
        return accepted()

    async with stand.client(Person(time_is_over)) as client:
        done = await client.call_tool("fs_write", CI, meta=named("k1"))
    assert (code(done), stand.ran) == ("POLICY_DENIED", [])
    assert await stand.outcomes() == ["PENDING_APPROVAL", "POLICY_DENIED"]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_client_that_waits_no_longer_is_told_as_the_others_are(stand: Stand, action: Any) -> None:
    async with stand.client(Person(types.ElicitResult(action=action))) as client:
        done = await client.call_tool("fs_write", CI, meta=named("k1"))
    approval = await stand.only_approval()
    assert (code(done), approval.state) == ("PENDING_APPROVAL", "pending")
    assert cast(Any, done.structured_content)["approval_id"] == approval.id
    assert await stand.outcomes() == ["PENDING_APPROVAL"]


@pytest.mark.parametrize(
    ("decision", "came_to", "state"),
    [
        ({"decision": "approve"}, "OK", "used"),
        ({"decision": "deny", "note": "No."}, "POLICY_DENIED", "denied"),
    ],
)
async def test_a_person_whose_token_came_along_decides_in_the_form(
    stand: Stand, decision: dict[str, str], came_to: str, state: str
) -> None:
    user = await asker(stand.database, stand.run)
    token = await api_token(stand.database, user)
    # Accepted without a choice is no choice.
    person = Person(accepted(), accepted(decision="perhaps"), accepted(**decision))
    async with stand.client(person, person=token) as client:
        done = await client.call_tool("fs_write", CI, meta=named("k1"))
    assert code(done) == came_to
    assert person.fields == [["decision", "note"]] * 3
    approval = await stand.only_approval()
    assert (approval.state, approval.decided_by) == (state, user.id)
    assert len(stand.ran) == (came_to == "OK")
    assert await stand.outcomes() == ["PENDING_APPROVAL", came_to]
    async with stand.database.transaction() as session:
        events = [event.type for event in await log.read(session, stand.run.id)]
    assert events == ["approval.requested", "approval.decided"]


async def stranger(database: Database) -> UserRow:
    user = UserRow(
        id=new_id("user"), organisation_id=new_id("organisation"), email=new_id("user"), name="s", role="admin",
        password_hash="",
    )  # fmt: skip
    async with database.transaction() as session:
        session.add(OrganisationRow(id=user.organisation_id, name="other"))
        await session.flush()
        session.add(user)
    return user


async def test_no_other_token_makes_a_person(stand: Stand) -> None:
    """A token that is unknown, of another organisation, or the grant itself."""
    for token in ("hc_unknown", await api_token(stand.database, await stranger(stand.database)), stand.token):
        async with stand.client(Person(), person=token) as client:
            asking = await first_round(client)
            again = await repeat(client, asking.request_state, accepted(decision="approve"))
        for result in (asking, again):
            assert isinstance(result, types.InputRequiredResult)
            form = cast(Any, (result.input_requests or {})["approval"]).params
            assert form.requested_schema["properties"] == {}
    assert ((await stand.only_approval()).state, stand.ran) == ("pending", [])


class TestTwoPeople:
    @pytest.fixture
    def rules(self) -> CallRules:
        return CallRules(approvals=ApprovalSettings(by_another_person=True))

    async def test_who_asked_for_the_task_can_not_approve_it(self, stand: Stand) -> None:
        first = await asker(stand.database, stand.run)
        token = await api_token(stand.database, first)
        person = Person(accepted(decision="approve"), types.ElicitResult(action="decline"))
        async with stand.client(person, person=token) as client:
            assert code(await client.call_tool("fs_write", CI, meta=named("k1"))) == "PENDING_APPROVAL"
        assert person.fields == [[], []]
        assert "Somebody else has to approve this" in person.shown[0].message
        second = UserRow(
            id=new_id("user"), organisation_id=first.organisation_id, email=new_id("user"), name="b", role="member",
            password_hash="",
        )  # fmt: skip
        async with stand.database.transaction() as session:
            session.add(second)
        other = Person(accepted(decision="approve"))
        async with stand.client(other, person=await api_token(stand.database, second)) as client:
            assert code(await client.call_tool("fs_write", CI, meta=named("k2"))) == "OK"
        assert ((await stand.only_approval()).decided_by, len(stand.ran)) == (second.id, 1)
        assert await stand.outcomes() == ["PENDING_APPROVAL", "PENDING_APPROVAL", "OK"]


@pytest.mark.parametrize(("mode", "forms"), [(LEGACY, True), (LEGACY, False), (MODERN, False)])
async def test_other_clients_get_the_pending_result(stand: Stand, mode: str, forms: bool) -> None:
    """The older revision, and clients without forms; a person's token changes nothing for them."""
    person, token = Person(), await api_token(stand.database, await asker(stand.database, stand.run))
    async with stand.client(person if forms else None, mode=mode, person=token) as client:
        waits = await client.call_tool("fs_write", CI, meta=named("k1"))
        assert code(await client.call_tool("ask_user", ASKS, meta=named("q1"))) == "PENDING_ANSWER"
        assert code(waits) == "PENDING_APPROVAL"
        await stand.on_the_web(YES)
        done = await client.call_tool("fs_write", CI, meta=named("k2"))
    assert (code(done), stand.ran, person.shown) == ("OK", [CI["content"]], [])
    assert await stand.outcomes() == ["PENDING_APPROVAL", "PENDING_ANSWER", "OK"]


async def test_a_state_is_good_for_its_call_and_caller_only(stand: Stand, minting: Any, new_run: Any) -> None:
    async with stand.client(Person()) as client:
        state = (await first_round(client)).request_state or ""
        other_end = state[:-2] + ("AA" if state[-2:] != "AA" else "BB")
        for forged in ("", "approved", "v1.", state[:-1], other_end, state + "A", '{"call": "k1"}'):
            await refused(repeat(client, forged, accepted(decision="approve")))
        await refused(repeat(client, state, accepted(), **{**CI, "content": "other"}))
        await refused(repeat(client, state, accepted(), "ask_user", **ASKS))
    token = await api_token(stand.database, await asker(stand.database, stand.run))
    async with stand.client(Person(), person=token) as client:
        await refused(repeat(client, state, accepted(decision="approve")))
    # The same run with fewer tools, and another run of the same task.
    async with stand.database.transaction() as session:
        child = await new_run(parent=await session.get_one(RunRow, stand.run.id))
    for grant in (minting.token(stand.run, tools={"fs_write"}), minting.token(child)):
        async with asked(stand.socket, grant, Person()) as client:
            await refused(repeat(client, state, accepted()))
    assert ((await stand.only_approval()).state, stand.ran) == ("pending", [])
    assert await stand.outcomes() == ["PENDING_APPROVAL"]


async def refused(call: Any) -> None:
    with pytest.raises(MCPError) as caught:
        await call
    assert (caught.value.code, caught.value.message) == (-32602, "Invalid or expired requestState")


async def test_a_state_that_comes_back_again_runs_nothing_again(stand: Stand) -> None:
    token = await api_token(stand.database, await asker(stand.database, stand.run))
    yes = accepted(decision="approve")
    async with stand.client(Person(), person=token) as client:
        state = (await first_round(client)).request_state
        results: list[Any] = []

        async def bring_back() -> None:
            results.append(await repeat(client, state, yes))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(bring_back)
        results += [await repeat(client, state, answer) for answer in (yes, None, accepted(decision="deny"))]
        results.append(await client.call_tool("fs_write", CI, meta=named("k1")))
    assert [code(result) for result in results] == ["OK"] * 8
    assert stand.ran == [CI["content"]]
    assert (await stand.only_approval()).state == "used"
    assert await stand.outcomes() == ["PENDING_APPROVAL", "OK"]


class TestExpiredState:
    @pytest.fixture
    def rules(self) -> CallRules:
        # Over by the time that anything comes back; no clock is waited for.
        return CallRules(approvals=ApprovalSettings.model_construct(expires_s=1e-6))

    async def test_an_expired_state_is_refused(
        self, stand: Stand, rules: CallRules, keys: PlatformKeys, sockets: Path, listening: Any
    ) -> None:
        async with stand.client(Person()) as client:
            asking = await first_round(client, "ask_user", **ASKS)
            await refused(repeat(client, asking.request_state, accepted(answer="SQLite"), "ask_user", **ASKS))
        assert (await stand.only_question()).state == "open"


async def test_another_policy_makes_another_call(
    stand: Stand, keys: PlatformKeys, sockets: Path, listening: Any
) -> None:
    """The process comes up again under a new policy: the old state can't be decided, and the call is asked anew."""
    token = await api_token(stand.database, await asker(stand.database, stand.run))
    async with stand.client(Person(), person=token) as client:
        state = (await first_round(client)).request_state
    changed = replace(BUILT_IN, version=BUILT_IN.version + 1)
    assert changed.sha256 != BUILT_IN.sha256
    write = Tool("fs_write", "Write.", Write, Written, Writing().run, read_only=False)
    apps = create_app(
        stand.database, cast(Sandboxes, None), keys, Registry([write]), rules=CallRules(changed)
    )
    async with (
        listening(apps.mcp, sockets / "new.sock"),
        asked(sockets / "new.sock", stand.token, Person(), person=token) as client,
    ):
        again = await repeat(client, state, accepted(decision="approve"))
    assert isinstance(again, types.InputRequiredResult)
    async with stand.database.transaction() as session:
        states = (
            await session.scalars(select(ApprovalRow.state).where(ApprovalRow.run_id == stand.run.id))
        ).all()
    assert list(states) == ["pending", "pending"]
    assert stand.ran == []


@pytest.mark.parametrize("answer", [{"choice": "SQLite"}, {"answer": "MariaDB", "choice": "SQLite"}])
async def test_a_clients_answer_is_never_told_as_a_persons(stand: Stand, answer: dict[str, str]) -> None:
    person = Person(accepted(), accepted(answer=" "), accepted(**answer))
    async with stand.client(person) as client:
        done = await client.call_tool("ask_user", ASKS, meta=named("q1"))
    words = answer.get("answer", "SQLite")
    assert cast(Any, done.structured_content)["answer"] == words
    assert "The client that asked answered" in str(done.content)
    assert person.fields == [["choice", "answer"]] * 3
    question = await stand.only_question()
    assert (question.answer, question.answered_by) == (words, BY_CLIENT)
    async with stand.database.transaction() as session:
        told = (await log.read(session, stand.run.id))[-1]
    assert (told.type, told.payload["by"]) == ("question.answered", BY_CLIENT)
    assert await stand.outcomes() == ["PENDING_ANSWER", "OK"]


async def test_a_persons_answer_is_theirs(stand: Stand) -> None:
    user = await asker(stand.database, stand.run)
    person = Person(accepted(answer="SQLite"))
    async with stand.client(person, person=await api_token(stand.database, user)) as client:
        done = await client.call_tool("ask_user", {"question": "Which database?"})
    assert "The person answered" in str(done.content)
    assert (person.fields, (await stand.only_question()).answered_by) == ([["answer"]], user.id)
    assert await stand.outcomes() == ["PENDING_ANSWER", "OK"]


async def test_a_question_that_nobody_answers_in_time(stand: Stand) -> None:
    async def time_is_over() -> types.ElicitResult:
        over = datetime.now(UTC) - timedelta(seconds=1)
        async with stand.database.transaction() as session:
            await session.execute(
                update(QuestionRow).where(QuestionRow.run_id == stand.run.id).values(expires_at=over)
            )
        return accepted(answer="too late")

    async with stand.client(Person(time_is_over)) as client:
        assert code(await client.call_tool("ask_user", ASKS, meta=named("q1"))) == "TIMEOUT"
    assert (await stand.only_question()).answer is None
    assert await stand.outcomes() == ["PENDING_ANSWER", "TIMEOUT"]


async def test_a_kill_between_the_rounds_loses_nothing(
    database: Database, minting: Any, new_run: Any, sockets: Path
) -> None:
    """The state outlives kill -9 of the process, and so does the word that is given while there is none."""
    run, socket = await new_run(), sockets / "tools.sock"
    user, token = await asker(database, run), minting.token(run)
    call = {"path": CI["path"], "mark": "m"}
    with anyio.fail_after(90):
        async with server(database, minting.public_hex, sockets, tools="asks") as process:
            async with asked(socket, token, Person()) as client:
                state = (await first_round(client, **call)).request_state
            os.kill(process.pid, signal.SIGKILL)
        async with database.transaction() as session:
            asks = select(ApprovalRow.id).where(ApprovalRow.run_id == run.id)
            approval = (await session.scalars(asks)).one()
        await decide_on_the_web(database, user, approval, YES)
        async with (
            server(database, minting.public_hex, sockets, tools="asks"),
            asked(socket, token, Person()) as client,
        ):
            done = [await repeat(client, state, accepted(), **call) for _ in range(2)]
    assert [code(result) for result in done] == ["OK", "OK"]
    assert (sockets / "marks").read_text() == "m\n"
    await exact_books(database, run.id)
    async with database.transaction() as session:
        rows = await read_audit(session, run.id)
    assert Counter(row.kind for row in rows) == {"decision": 2, "outcome": 2}
    assert [row.body.get("approved_by") for row in rows if row.kind == "decision"] == [None, user.id]
