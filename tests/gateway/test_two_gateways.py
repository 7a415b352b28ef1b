"""Two gateways on one database and one Redis: what one counts, keeps or ends holds in the other."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from fnmatch import fnmatch
from typing import Any

import httpx2
import pytest
from anyio import fail_after
from fastapi import FastAPI
from pydantic import SecretStr
from tests.fixtures.flaky import flaky_way
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.viewer import Viewer

from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.gateway.app import create_app
from hypercode.gateway.auth import COOKIE, CSRF_HEADER
from hypercode.settings import Settings
from hypercode.store.cache import changed, keep, kept, seal_key
from hypercode.store.database import Database, open_database
from hypercode.store.redis_keys import CHANGED_S, KEYS, PROJECTS, SESSION
from hypercode.store.users import close_user_sessions_of, sha256_hex

pytestmark = pytest.mark.anyio
ORIGIN = "http://hypercode.test"
PER_MINUTE = 6
PASSWORD = "a long enough password"
NewPerson = Callable[..., Awaitable[Any]]


@pytest.fixture
async def gateways(
    settings: Settings, empty_database: Database, redis_server: RedisServer
) -> AsyncIterator[list[FastAPI]]:
    limited = settings.gateway.model_copy(update={"requests_per_minute": PER_MINUTE})
    databases = [
        open_database(empty_database.url, SecretStr(redis_server.url), seal_key("shared")) for _ in range(2)
    ]
    # Their first call makes the connection, which may take longer than a call may on a busy machine.
    with fail_after(10):
        for database in databases:
            while not await database.redis.answers():  # noqa: ASYNC110 - only Redis knows
                await asyncio.sleep(0.01)
    yield [create_app(settings.model_copy(update={"gateway": limited}), database) for database in databases]
    for database in databases:
        await database.dispose()


def client_of(app: FastAPI, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN, **headers})


async def test_requests_are_counted_together_for_each_token(
    gateways: list[FastAPI], new_person: NewPerson, redis_server: RedisServer
) -> None:
    ada, bob = await new_person(), await new_person()
    first, second = (client_of(app, Authorization=f"Bearer {ada.token}") for app in gateways)
    for client in [first, second] * (PER_MINUTE // 2):
        assert (await client.get("/api/v1/me")).status_code == 200
    refused = await second.get("/api/v1/me")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    other = client_of(gateways[1], Authorization=f"Bearer {bob.token}")
    assert (await other.get("/api/v1/me")).status_code == 200

    redis_server.kill()
    # Each gateway counts by itself while nobody counts for all.
    statuses = [(await first.get("/api/v1/me")).status_code for _ in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]

    redis_server.start()
    for app in gateways:
        assert await app.state.parts.database.redis.answers()
    # It knows of nobody: the minute begins anew, and they count together again. So it is after a flush.
    for _ in range(2):
        in_turn = [
            (await client.get("/api/v1/me")).status_code for client in [first, second] * (PER_MINUTE // 2)
        ]
        assert in_turn == [200] * PER_MINUTE
        assert (await second.get("/api/v1/me")).status_code == 429
        redis_server.client.flushall()


async def test_failed_sign_ins_are_counted_together(gateways: list[FastAPI], new_person: NewPerson) -> None:
    person = await new_person(password=PASSWORD)
    first, second = (client_of(app) for app in gateways)
    wrong = {"email": person.user.email, "password": "not the password"}
    statuses = [
        (await client.post("/api/v1/login", json=wrong)).status_code
        for client in (first, second, first, second, first, second)
    ]
    assert statuses == [401] * 5 + [429]


async def signed_in(apps: list[FastAPI], person: Any) -> tuple[list[httpx2.AsyncClient], str]:
    """Sign in at the first gateway; returns a client of each that carries the cookie, and the CSRF token."""
    clients = [client_of(app) for app in apps]
    answer = await clients[0].post("/api/v1/login", json={"email": person.user.email, "password": PASSWORD})
    clients[1].cookies = clients[0].cookies
    return clients, answer.json()["csrf_token"]


async def test_a_sign_in_ended_at_one_gateway_is_refused_at_the_other_at_once(
    gateways: list[FastAPI], new_person: NewPerson, redis_server: RedisServer
) -> None:
    (first, second), csrf = await signed_in(gateways, await new_person(password=PASSWORD))
    cookie = {"Cookie": f"{COOKIE}={second.cookies[COOKIE]}"}
    assert (await second.get("/api/v1/me")).status_code == 200
    assert redis_server.client.keys(SESSION.of("*")) != []
    assert (await second.get("/api/v1/me")).status_code == 200
    assert (await first.post("/api/v1/logout", headers={CSRF_HEADER: csrf})).status_code == 204
    for client in (client_of(app, **cookie) for app in gateways):
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_a_password_reset_ends_sign_ins_that_are_kept(
    gateways: list[FastAPI], new_person: NewPerson
) -> None:
    person = await new_person(password=PASSWORD)
    (_, second), _ = await signed_in(gateways, person)
    assert (await second.get("/api/v1/me")).status_code == 200
    async with gateways[0].state.parts.database.transaction() as session:
        await close_user_sessions_of(session, person.user.id)
    assert (await second.get("/api/v1/me")).status_code == 401


async def test_what_redis_holds_makes_nobody_an_admin(
    gateways: list[FastAPI], new_person: NewPerson, redis_server: RedisServer
) -> None:
    (_, second), _ = await signed_in(gateways, await new_person("member", password=PASSWORD))
    assert (await second.get("/api/v1/me")).json()["user"]["role"] == "member"
    (name,) = redis_server.client.keys(SESSION.of("*"))
    kept = redis_server.client.get(name)
    redis_server.client.set(name, kept.replace('"member"', '"admin"'))
    assert (await second.get("/api/v1/me")).json()["user"]["role"] == "member"
    redis_server.client.set(SESSION.of(sha256_hex("made up")), kept)
    forged = client_of(gateways[1], Cookie=f"{COOKIE}=made up")
    assert (await forged.get("/api/v1/me")).status_code == 401


async def test_a_change_at_one_gateway_is_in_the_other_ones_list_at_once(
    gateways: list[FastAPI], new_person: NewPerson
) -> None:
    person = await new_person()
    first, second = (client_of(app, Authorization=f"Bearer {person.token}") for app in gateways)

    async def names() -> list[str]:
        return [each["name"] for each in (await second.get("/api/v1/projects")).json()["items"]]

    assert await names() == []
    source = {"source_kind": "git_url", "source": "https://git.example.com/a/b.git", "name": "before"}
    project = (await first.post("/api/v1/projects", json=source)).json()
    assert await names() == ["before"]
    await first.patch(f"/api/v1/projects/{project['id']}", json={"name": "after"})
    assert await names() == ["after"]


async def test_a_change_that_is_not_committed_yet_keeps_readers_from_keeping(
    gateways: list[FastAPI], redis_server: RedisServer, empty_database: Database
) -> None:
    one, other = (app.state.parts.database for app in gateways)
    async with one.transaction() as changing:
        await changed(changing, PROJECTS, "org_x")
        async with other.transaction() as session:
            await keep(session, PROJECTS, "org_x", "old")
            assert await kept(session, PROJECTS, "org_x") is None
    redis_server.client.flushall()
    async with other.transaction() as session:
        await keep(session, PROJECTS, "org_x", "new")
        assert await kept(session, PROJECTS, "org_x") == "new"


async def test_every_key_is_one_of_the_table_and_ends(
    gateways: list[FastAPI], new_person: NewPerson, redis_server: RedisServer
) -> None:
    (first, second), csrf = await signed_in(gateways, await new_person(password=PASSWORD))
    await second.get("/api/v1/projects")
    await client_of(gateways[0]).post("/api/v1/login", json={"email": "nobody", "password": PASSWORD})
    used = set[str]()
    for name in redis_server.client.keys("*"):
        (key,) = [key for key in KEYS if fnmatch(name, key.pattern)]
        assert 0 < redis_server.client.ttl(name) <= key.lifetime_s
        used.add(key.pattern)
    assert used == {key.pattern for key in KEYS}
    await first.post("/api/v1/logout", headers={CSRF_HEADER: csrf})
    assert redis_server.client.ttl(redis_server.client.keys(SESSION.of("*"))[0]) <= CHANGED_S


@pytest.mark.promise(11)
async def test_streams_go_on_while_redis_dies_and_comes_back_and_forgets(
    settings: Settings,
    empty_database: Database,
    redis_server: RedisServer,
    new_task: Callable[..., Awaitable[dict[str, str]]],
    admin: Any,
    serve: Callable[[FastAPI], AbstractAsyncContextManager[str]],
) -> None:
    run_id = (await new_task())["run_id"]
    url = SecretStr(redis_server.url)
    # A worker, and two gateways.
    writer, *databases = [open_database(empty_database.url, url, seal_key("shared")) for _ in range(3)]

    async def append(numbers: range) -> None:
        for number in numbers:
            notice = NoticeRaised(level="info", code="N", message="", hint="")
            await log.append_alone(writer, run_id, f"s{number}", [notice])

    async with AsyncExitStack() as stack:
        stack.enter_context(fail_after(60))
        chance, ports = random.Random(5), list[int]()
        for database in databases:
            app = create_app(settings, database)
            await stack.enter_async_context(app.router.lifespan_context(app))
            address = await stack.enter_async_context(serve(app))
            way = await stack.enter_async_context(flaky_way(int(address.rpartition(":")[2]), chance))
            ports.append(way.port)
        viewers = [Viewer(run_id, admin.token, ports, random.Random(number)) for number in range(3)]
        following = [asyncio.create_task(viewer.follow(121)) for viewer in viewers]
        await append(range(40))
        redis_server.kill()
        await append(range(40, 80))
        redis_server.start()
        await append(range(80, 100))
        redis_server.client.flushall()
        await append(range(100, 120))
        await asyncio.gather(*following)
    assert [viewer.seen for viewer in viewers] == [list(range(1, 122))] * 3
    assert sum(viewer.connections for viewer in viewers) > 10
    for database in (writer, *databases):
        await database.dispose()
