"""A run's events: each once and in order, for everyone who may see them, over real connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from anyio import fail_after
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from hypercode.domain.attestation import Grade
from hypercode.domain.event import NoticeRaised, RunFinished, TestCounts
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.gateway.app import create_app
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.runs import update_run

pytestmark = pytest.mark.anyio
Make = Callable[..., Awaitable[dict[str, str]]]
COUNT = 300


def notice(number: int) -> NoticeRaised:
    return NoticeRaised(level="info", code="N", message=f"number {number}", hint="")


def finished() -> RunFinished:
    return RunFinished(
        status=RunStatus.SUCCEEDED,
        proof=Grade.FIXED,
        reason="",
        verified=True,
        attestation=None,
        diff=None,
        protected_paths=[],
        tests=TestCounts(passed=1, failed=0),
        cost=0,
        tokens_in=0,
        tokens_out=0,
        turns=1,
        elapsed_s=1,
        error_code=None,
        error_message=None,
        error_hint=None,
    )


async def append(database: Database, run_id: str, numbers: range) -> None:
    for start in numbers[::3]:
        payloads = [notice(number) for number in numbers if start <= number < start + 3]
        async with database.transaction() as session:
            await log.append(session, run_id, f"step {start}", payloads)


async def finish(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        await log.append(session, run_id, "end", [finished()])
        await update_run(session, run_id, status=RunStatus.SUCCEEDED.value)


@pytest.fixture
async def run_id(new_task: Make) -> str:
    return (await new_task())["run_id"]


class Stream:
    """A minimal EventSource: yields (id, type, data)."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response

    async def __aiter__(self) -> AsyncIterator[tuple[str, str, Any]]:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


@asynccontextmanager
async def watching(server: str, run_id: str, token: str, **headers: str) -> AsyncIterator[Stream]:
    async with (
        httpx2.AsyncClient(timeout=20) as client,
        client.stream(
            "GET",
            f"{server}/api/v1/runs/{run_id}/events",
            headers={"Authorization": f"Bearer {token}", **headers},
        ) as response,
    ):
        yield Stream(response)


async def ids_until_end(server: str, run_id: str, token: str, **headers: str) -> list[int]:
    seen: list[int] = []
    async with watching(server, run_id, token, **headers) as stream:
        async for id_, type_, data in stream:
            if type_ == "end":
                return seen
            assert (int(id_), type_) == (data["seq"], data["type"])
            seen.append(data["seq"])
    raise AssertionError("the stream closed without an end")


async def test_a_watcher_that_comes_back_misses_nothing_while_events_are_appended(
    server: str, admin: Any, run_id: str, empty_database: Database
) -> None:
    seen: list[int] = []

    async def watch() -> None:
        while True:
            last = {"Last-Event-ID": str(seen[-1])} if seen else {}
            async with watching(server, run_id, admin.token, **last) as stream:
                async for _, type_, data in stream:
                    if type_ == "end":
                        return
                    seen.append(data["seq"])
                    if data["seq"] % 70 == 0:
                        break

    with fail_after(40):
        watcher = asyncio.create_task(watch())
        await append(empty_database, run_id, range(COUNT))
        await finish(empty_database, run_id)
        await watcher

    assert seen == list(range(1, COUNT + 3))


async def test_twenty_watchers_see_each_event_once_and_share_one_tail(
    server: str, app: FastAPI, admin: Any, run_id: str, empty_database: Database
) -> None:
    with fail_after(40):
        watchers = [asyncio.create_task(ids_until_end(server, run_id, admin.token)) for _ in range(20)]
        await append(empty_database, run_id, range(50))
        live = app.state.parts.live
        assert len(live._tails) == 1
        await append(empty_database, run_id, range(50, 100))
        await finish(empty_database, run_id)
        results = await asyncio.gather(*watchers)
        assert results == [list(range(1, 103))] * 20
        while live._tails:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_watchers_stay_and_miss_nothing_when_postgres_drops_every_connection(
    server: str, admin: Any, run_id: str, empty_database: Database, database_url: str
) -> None:
    fresh = Database(database_url)
    with fail_after(40):
        watchers = [asyncio.create_task(ids_until_end(server, run_id, admin.token)) for _ in range(3)]
        await append(empty_database, run_id, range(5))
        async with fresh.transaction() as session:
            await session.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        await append(fresh, run_id, range(5, 20))
        await finish(fresh, run_id)
        assert await asyncio.gather(*watchers) == [list(range(1, 23))] * 3
    await fresh.dispose()


async def test_the_answer_is_one_that_no_proxy_holds_back(server: str, admin: Any, run_id: str) -> None:
    async with watching(server, run_id, admin.token, **{"X-Request-Id": "mine-12345"}) as stream:
        headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-request-id"] == "mine-12345"


async def test_an_ended_run_replays_and_ends_also_from_its_last_event_on(
    server: str, admin: Any, run_id: str, empty_database: Database
) -> None:
    await append(empty_database, run_id, range(3))
    await finish(empty_database, run_id)
    with fail_after(20):
        assert await ids_until_end(server, run_id, admin.token) == [1, 2, 3, 4, 5]
        assert await ids_until_end(server, run_id, admin.token, **{"Last-Event-ID": "3"}) == [4, 5]
        assert await ids_until_end(server, run_id, admin.token, **{"Last-Event-ID": "5"}) == []
        assert await ids_until_end(server, run_id, admin.token, **{"Last-Event-ID": "999"}) == []


def sent_and_timed() -> tuple[float, float]:
    """How many events were sent as SSE so far, and of how many the lag was measured."""
    names = ("hypercode_stream_events_total", "hypercode_stream_lag_seconds_count")
    sent, measured = (REGISTRY.get_sample_value(name, {"kind": "sse"}) or 0 for name in names)
    return sent, measured


async def test_what_is_replayed_is_old_and_not_late(
    server: str, admin: Any, new_task: Make, empty_database: Database
) -> None:
    old, live = [(await new_task())["run_id"] for _ in range(2)]
    await append(empty_database, old, range(3))
    await finish(empty_database, old)
    with fail_after(20):
        sent, measured = sent_and_timed()
        await ids_until_end(server, old, admin.token)
        assert sent_and_timed() == (sent + 5, measured)
        async with watching(server, live, admin.token) as stream:
            events = aiter(stream)
            await anext(events)
            await append(empty_database, live, range(3))
            await finish(empty_database, live)
            while (await anext(events))[1] != "end":
                pass
        assert sent_and_timed() == (sent + 10, measured + 4)


async def test_a_cursor_beyond_the_log_takes_events_from_nobody(
    server: str, admin: Any, run_id: str, empty_database: Database
) -> None:
    with fail_after(20):
        async with watching(server, run_id, admin.token, **{"Last-Event-ID": "1000000"}) as far:
            near = asyncio.create_task(ids_until_end(server, run_id, admin.token))
            await append(empty_database, run_id, range(3))
            await finish(empty_database, run_id)
            assert await near == [1, 2, 3, 4, 5]
            assert [data["seq"] async for _, type_, data in far if type_ != "end"] == [2, 3, 4, 5]


async def test_a_quiet_run_sends_heartbeats_that_a_page_can_see(
    settings: Settings, app: FastAPI, serve: Any, admin: Any, run_id: str, empty_database: Database
) -> None:
    quick = create_app(settings, empty_database, heartbeat_s=0.05)
    async with quick.router.lifespan_context(quick), serve(quick) as server:
        with fail_after(20):
            async with watching(server, run_id, admin.token) as stream:
                seen: list[tuple[str, str]] = []
                async for id_, type_, _ in stream:
                    seen.append((id_, type_))
                    if len(seen) == 3:
                        break
    # A heartbeat carries no id: the browser's Last-Event-ID stays the last real one.
    assert seen == [("1", "run.queued"), ("", "heartbeat"), ("", "heartbeat")]


async def test_who_may_not_see_the_run_gets_an_answer_and_no_stream(
    server: str, run_id: str, new_person: Callable[..., Awaitable[Any]]
) -> None:
    stranger = await new_person(organisation="org_b")
    for token, status in (("hc_wrong", 401), (stranger.token, 404)):
        async with watching(server, run_id, token) as stream:
            assert stream.response.status_code == status
            assert stream.response.headers["content-type"] == "application/problem+json"
        with pytest.raises(InvalidStatus) as refused:
            async with watching_ws(server, run_id, {"Authorization": f"Bearer {token}"}):
                pass
        assert refused.value.response.status_code == status


def watching_ws(server: str, run_id: str, headers: dict[str, str], query: str = "") -> connect:
    url = f"{server.replace('http', 'ws')}/api/v1/runs/{run_id}/ws{query}"
    origin = headers.pop("Origin", None)
    return connect(url, additional_headers=headers, origin=origin, proxy=None)  # type: ignore[arg-type]


async def read_all(socket: ClientConnection) -> list[Any]:
    return [json.loads(message) async for message in socket]


async def test_a_websocket_carries_the_same_events(
    server: str, admin: Any, run_id: str, empty_database: Database
) -> None:
    bearer = {"Authorization": f"Bearer {admin.token}"}
    with fail_after(40):
        async with watching_ws(server, run_id, dict(bearer)) as whole:
            reader = asyncio.create_task(read_all(whole))
            await append(empty_database, run_id, range(COUNT))
            await finish(empty_database, run_id)
            messages = await reader
        async with watching_ws(server, run_id, dict(bearer), "?after=290") as rest:
            tail = await read_all(rest)
    assert [message.get("seq") for message in messages] == [*range(1, COUNT + 3), None]
    assert messages[-1] == {"type": "end"}
    assert tail == messages[290:]
    page = await admin.client.get(
        f"/api/v1/runs/{run_id}/events?after=100&limit=5", headers={"Accept": "application/json"}
    )
    assert page.json() == {"items": messages[100:105], "next_after": 105}


async def test_another_sites_page_opens_no_websocket_with_a_persons_cookie(
    server: str, run_id: str, new_person: Callable[..., Awaitable[Any]]
) -> None:
    person = await new_person(password="correct horse battery")
    async with httpx2.AsyncClient() as client:
        answer = await client.post(
            f"{server}/api/v1/login",
            json={"email": person.user.email, "password": "correct horse battery"},
        )
        cookie = f"hypercode_session={answer.cookies['hypercode_session']}"
    for origin in ("http://evil.test", None):
        headers = {"Cookie": cookie} | ({"Origin": origin} if origin else {})
        with pytest.raises(InvalidStatus) as refused:
            async with watching_ws(server, run_id, headers):
                pass
        assert refused.value.response.status_code == 403
    with fail_after(10):
        async with watching_ws(server, run_id, {"Cookie": cookie, "Origin": server}) as socket:
            assert json.loads(await socket.recv())["type"] == "run.queued"
