"""The SDK's own client with a person before it, for tests: what it is shown, and what it answers."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

from hypercode.domain.approval import Decision
from hypercode.events.approvals import decide_approval
from hypercode.mcp_protocol.schemas import IDEMPOTENCY_KEY
from hypercode.settings import ApprovalSettings
from hypercode.store.api_tokens import create_token
from hypercode.store.database import Database
from hypercode.store.tables import TaskRow, UserRow
from hypercode.store.users import to_domain
from hypercode.tools.request_state import PERSON

MODERN, LEGACY = "2026-07-28", "legacy"
Answering = Callable[[types.ElicitRequestFormParams], Awaitable[types.ElicitResult]]


def accepted(**content: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=content)


class Person:
    """Answers form after form as they were told to, and keeps what they were shown."""

    def __init__(self, *answers: types.ElicitResult | Callable[[], Awaitable[types.ElicitResult]]) -> None:
        self._answers = list(answers)
        self.shown: list[types.ElicitRequestFormParams] = []

    async def __call__(self, form: types.ElicitRequestFormParams) -> types.ElicitResult:
        self.shown.append(form)
        answer = self._answers.pop(0)
        return answer if isinstance(answer, types.ElicitResult) else await answer()

    @property
    def fields(self) -> list[list[str]]:
        """The fields of each form that was shown."""
        return [list(form.requested_schema["properties"]) for form in self.shown]


@contextlib.asynccontextmanager
async def asked(
    socket: Path, token: str, answering: Answering | None, *, mode: str = MODERN, person: str | None = None
) -> AsyncIterator[Client]:
    """A connected client; without ``answering`` it declares no forms. ``person`` is the API token that it sends."""

    async def elicit(_: Any, params: Any) -> types.ElicitResult:
        assert answering is not None
        return await answering(params)

    bearer = {"Authorization": f"Bearer {token}", **({} if person is None else {PERSON: person})}
    transport = httpx2.AsyncHTTPTransport(uds=str(socket), verify=False)
    async with httpx2.AsyncClient(transport=transport, headers=bearer, timeout=30) as http:
        door = streamable_http_client("http://tools/mcp/", http_client=http)
        async with Client(door, mode=mode, elicitation_callback=elicit if answering else None) as client:
            yield client


def named(key: str) -> types.RequestParamsMeta:
    return cast(types.RequestParamsMeta, {IDEMPOTENCY_KEY: key})


def code(result: types.CallToolResult) -> str:
    return str((result.structured_content or {}).get("code", "OK"))


async def asker(database: Database, run: Any) -> UserRow:
    """Who asked for the run's task."""
    async with database.transaction() as session:
        task = await session.get_one(TaskRow, run.task_id)
        return await session.get_one(UserRow, task.created_by)


async def api_token(database: Database, user: UserRow) -> str:
    async with database.transaction() as session:
        return await create_token(session, user.id, "a client")


async def decide_on_the_web(database: Database, user: UserRow, approval_id: str, decision: Decision) -> None:
    async with database.transaction() as session:
        await decide_approval(session, to_domain(user), approval_id, decision, ApprovalSettings())
