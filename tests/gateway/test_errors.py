"""Errors: problem+json everywhere, with the request id, and without our insides."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from hypercode.domain import errors
from hypercode.gateway.app import create_app
from hypercode.gateway.body_limit import MAX_BODY
from hypercode.gateway.errors import STATUS_OF_CODE
from hypercode.settings import Settings
from hypercode.store.database import DATABASE_AWAY, Database

pytestmark = pytest.mark.anyio


def test_every_error_of_ours_has_a_status_or_is_our_fault() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.HyperCodeError)
    ]
    ours = {"INTERNAL", "ENVIRONMENT_FAILED", "MODEL_FAILED"}
    assert {each.code for each in classes} == set(STATUS_OF_CODE) | ours


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api", 404, "NOT_FOUND"),
        ("PUT", "/api/v1/me", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/me", 401, "UNAUTHENTICATED"),
        ("GET", "/api/v1/projects/prj_%00", 401, "UNAUTHENTICATED"),
        ("POST", "/api/v1/login", 422, "INVALID_ARGUMENT"),
    ],
)
async def test_problems(browser: httpx2.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    answer = await browser.request(method, path, headers={"X-Request-Id": "from-the-proxy-1"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == answer.headers["x-request-id"] == "from-the-proxy-1"
    assert set(body) == {"type", "title", "status", "detail", "code", "hint", "request_id", "errors"}


@pytest.mark.parametrize(
    "path", ["projects/%00", "tasks/%00", "runs/%00", "artifacts/%00", "runs/%00/events"]
)
async def test_a_name_that_no_database_holds_is_a_bad_argument(admin: Any, path: str) -> None:
    assert (await admin.client.get(f"/api/v1/{path}")).status_code == 422


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with blank in it", "<script>alert(1)</script>"])
async def test_a_strange_request_id_is_replaced(browser: httpx2.AsyncClient, sent: str) -> None:
    answer = await browser.get("/healthz", headers={"X-Request-Id": sent})
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"email": "\\ud800"}', b"1" * 5000]
)
async def test_a_body_that_is_no_json_object_is_refused(browser: httpx2.AsyncClient, body: bytes) -> None:
    answer = await browser.post("/api/v1/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_huge_body_is_refused_also_without_its_length(browser: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    json = {"Content-Type": "application/json"}
    told = await browser.post("/api/v1/login", content=b" " * (MAX_BODY + 1), headers=json)
    assert (told.status_code, told.json()["code"]) == (413, "TOO_LARGE")
    untold = await browser.post("/api/v1/login", content=chunks(), headers=json)
    assert untold.status_code == 400


async def test_a_form_of_another_site_is_no_json(browser: httpx2.AsyncClient) -> None:
    body = b'{"email": "a@b.c", "password": "x"}'
    answer = await browser.post("/api/v1/login", content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


async def test_without_a_database_the_answer_says_so_and_nothing_of_it(settings: Settings) -> None:
    database = Database("postgresql://someone:hunter2@127.0.0.1:1/none")
    transport = httpx2.ASGITransport(app=create_app(settings, database))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hypercode.test") as client:
        answer = await client.get("/api/v1/setup")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "hunter2" not in answer.text
    assert "someone" not in answer.text


async def test_our_own_failure_tells_the_request_id_and_no_trace(
    app: FastAPI, browser: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.get("/api/v1/broken")
    async def broken() -> None:
        raise RuntimeError("password=hunter2")

    # The UI catches every path, so the test's route must come before it.
    app.router.routes.insert(0, app.router.routes.pop())
    answer = await browser.get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "INTERNAL"
    assert answer.json()["request_id"] in answer.json()["hint"]
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.json()["request_id"] in capsys.readouterr().out


@pytest.mark.parametrize("away", DATABASE_AWAY)
async def test_postgres_that_leaves_in_a_request_is_told_as_such(
    app: FastAPI, browser: httpx2.AsyncClient, away: type[Exception]
) -> None:
    """The driver's own errors among them: an append goes by its connection."""

    @app.get("/api/v1/away")
    async def leave() -> None:
        raise away("hunter2", None, Exception()) if issubclass(away, DBAPIError) else away("hunter2")

    app.router.routes.insert(0, app.router.routes.pop())
    answer = await browser.get("/api/v1/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "hunter2" not in answer.text
