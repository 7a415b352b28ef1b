"""Two gateways on one database and one Redis: what one counts, keeps or ends holds in the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from tests.fixtures.redis_server import RedisServer

from hypercode.gateway.app import create_app
from hypercode.settings import Settings
from hypercode.store.database import Database, open_database

pytestmark = pytest.mark.anyio
ORIGIN = "http://hypercode.test"
PER_MINUTE = 6
NewPerson = Callable[..., Awaitable[Any]]


@pytest.fixture
async def gateways(
    settings: Settings, empty_database: Database, redis_server: RedisServer
) -> AsyncIterator[list[FastAPI]]:
    limited = settings.gateway.model_copy(update={"requests_per_minute": PER_MINUTE})
    databases = [open_database(empty_database.url, SecretStr(redis_server.url)) for _ in range(2)]
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


async def test_failed_sign_ins_are_counted_together(gateways: list[FastAPI], new_person: NewPerson) -> None:
    person = await new_person(password="a long enough password")
    first, second = (client_of(app) for app in gateways)
    wrong = {"email": person.user.email, "password": "not the password"}
    statuses = [
        (await client.post("/api/v1/login", json=wrong)).status_code
        for client in (first, second, first, second, first, second)
    ]
    assert statuses == [401] * 5 + [429]
