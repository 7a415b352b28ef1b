"""Set-up, sign-in, and what a cookie alone may not do."""

import httpx2
import pytest

from hypercode.store.database import Database
from hypercode.store.tables import UserSessionRow
from hypercode.store.users import ensure_local_user, ensure_setup_token

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
ADMIN = {"email": "Ada@Example.org", "name": "Ada", "password": PASSWORD}


async def set_up(browser: httpx2.AsyncClient, database: Database) -> httpx2.Response:
    async with database.transaction() as session:
        token = await ensure_setup_token(session)
    return await browser.post("/api/v1/setup", json={"token": token, **ADMIN})


async def test_first_run_makes_one_admin_and_the_link_works_once(
    browser: httpx2.AsyncClient, empty_database: Database
) -> None:
    async with empty_database.transaction() as session:
        local = await ensure_local_user(session)
    assert (await browser.get("/api/v1/setup")).json() == {"needed": True}

    answer = await set_up(browser, empty_database)

    assert answer.status_code == 201
    assert answer.json()["user"]["email"] == "ada@example.org"
    assert answer.json()["user"]["role"] == "admin"
    # One organisation: what ran from the command line before is seen by the admin.
    assert answer.json()["user"]["organisation_id"] == local.organisation_id
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert (await browser.get("/api/v1/me")).json() == answer.json()
    assert (await browser.get("/api/v1/setup")).json() == {"needed": False}
    again = await browser.post("/api/v1/setup", json={"token": "again", **ADMIN})
    assert again.status_code == 409
    async with empty_database.transaction() as session:
        assert await ensure_setup_token(session) is None


async def test_an_older_setup_link_is_refused(browser: httpx2.AsyncClient, empty_database: Database) -> None:
    async with empty_database.transaction() as session:
        old = await ensure_setup_token(session)
        await ensure_setup_token(session)
    answer = await browser.post("/api/v1/setup", json={"token": old, **ADMIN})
    assert answer.status_code == 401
    assert (await browser.get("/api/v1/setup")).json() == {"needed": True}


async def test_a_short_password_is_refused_in_words_and_not_repeated(
    browser: httpx2.AsyncClient, app: object
) -> None:
    answer = await browser.post("/api/v1/setup", json={"token": "x", **ADMIN, "password": "hunter2"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [
        {"field": "password", "message": "the password has 7 characters; it needs at least 12"}
    ]
    assert "hunter2" not in answer.text


async def test_sign_in_and_out(browser: httpx2.AsyncClient, empty_database: Database) -> None:
    csrf = (await set_up(browser, empty_database)).json()["csrf_token"]
    answer = await browser.post("/api/v1/logout", headers={"X-HyperCode-CSRF": csrf})
    assert answer.status_code == 204
    assert (await browser.get("/api/v1/me")).status_code == 401

    signed_in = await browser.post("/api/v1/login", json={"email": "ada@example.ORG", "password": PASSWORD})

    assert signed_in.status_code == 200
    assert (await browser.get("/api/v1/me")).json() == signed_in.json()
    cookie = browser.cookies["hypercode_session"]
    async with empty_database.transaction() as session:
        assert await session.get(UserSessionRow, cookie) is None, "the cookie itself is in the database"


async def test_wrong_password_unknown_email_and_passwordless_user_look_the_same(
    browser: httpx2.AsyncClient, empty_database: Database
) -> None:
    await set_up(browser, empty_database)
    async with empty_database.transaction() as session:
        await ensure_local_user(session)
    answers = [
        await browser.post("/api/v1/login", json={"email": email, "password": "not the password"})
        for email in ("ada@example.org", "nobody@example.org", "local@localhost")
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    bodies = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]


async def test_repeated_failures_are_limited_by_account_and_address(
    browser: httpx2.AsyncClient, empty_database: Database
) -> None:
    await set_up(browser, empty_database)
    wrong = {"email": "ada@example.org", "password": "wrong wrong wrong"}
    statuses = [(await browser.post("/api/v1/login", json=wrong)).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    right = await browser.post("/api/v1/login", json={**wrong, "password": PASSWORD})
    assert right.status_code == 429
    assert 200 < int(right.headers["retry-after"]) <= 300


async def test_a_cookie_alone_changes_nothing(browser: httpx2.AsyncClient, empty_database: Database) -> None:
    csrf = (await set_up(browser, empty_database)).json()["csrf_token"]
    cases = {
        "no header": {},
        "wrong header": {"X-HyperCode-CSRF": "x" * 43},
        "foreign origin": {"X-HyperCode-CSRF": csrf, "Origin": "http://evil.test"},
        "null origin": {"X-HyperCode-CSRF": csrf, "Origin": "null"},
        "empty origin": {"X-HyperCode-CSRF": csrf, "Origin": ""},
    }
    for name, headers in cases.items():
        answer = await browser.post("/api/v1/tokens", json={"name": "t"}, headers=headers)
        assert answer.status_code == 403, name
    assert (await browser.get("/api/v1/tokens")).json() == {"items": []}
    good = await browser.post("/api/v1/tokens", json={"name": "t"}, headers={"X-HyperCode-CSRF": csrf})
    assert good.status_code == 201


async def test_another_site_can_not_sign_a_browser_in(
    browser: httpx2.AsyncClient, empty_database: Database
) -> None:
    await set_up(browser, empty_database)
    answer = await browser.post(
        "/api/v1/login",
        json={"email": "ada@example.org", "password": PASSWORD},
        headers={"Origin": "http://evil.test"},
    )
    assert answer.status_code == 403


async def test_an_expired_sign_in_is_none(browser: httpx2.AsyncClient, empty_database: Database) -> None:
    await set_up(browser, empty_database)
    async with empty_database.transaction() as session:
        await session.execute(
            UserSessionRow.__table__.update().values(expires_at=UserSessionRow.created_at)  # type: ignore[attr-defined]
        )
    assert (await browser.get("/api/v1/me")).status_code == 401
