"""API tokens: shown once, stored as a hash, gone when revoked."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from hypercode.store.database import Database
from hypercode.store.tables import ApiTokenRow

pytestmark = pytest.mark.anyio


async def test_a_token_signs_in_until_it_is_revoked(admin: Any, empty_database: Database) -> None:
    created = (await admin.client.post("/api/v1/tokens", json={"name": "CI"})).json()
    secret, token = created["secret"], created["token"]
    assert secret.startswith("hc_")
    bearer = {"Authorization": f"Bearer {secret}"}

    me = await admin.client.get("/api/v1/me", headers=bearer)

    assert me.json()["user"]["id"] == admin.user.id
    assert me.json()["csrf_token"] == "", "a token needs no CSRF header"
    listed = await admin.client.get("/api/v1/tokens")
    assert secret not in listed.text
    assert [item["last_used_at"] is not None for item in listed.json()["items"]] == [True, True]
    async with empty_database.transaction() as session:
        assert secret not in (await session.scalars(select(ApiTokenRow.token_sha256))).all()

    assert (await admin.client.delete(f"/api/v1/tokens/{token['id']}")).status_code == 204

    assert (await admin.client.get("/api/v1/me", headers=bearer)).status_code == 401
    assert (await admin.client.delete(f"/api/v1/tokens/{token['id']}")).status_code == 404


async def test_nobody_revokes_anothers_token(admin: Any, new_person: Callable[..., Awaitable[Any]]) -> None:
    token = (await admin.client.post("/api/v1/tokens", json={"name": "mine"})).json()["token"]
    colleague = await new_person()
    assert (await colleague.client.delete(f"/api/v1/tokens/{token['id']}")).status_code == 404
    assert len((await admin.client.get("/api/v1/tokens")).json()["items"]) == 2


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer hc_wrong", "Basic aGM6aGM=", "hc_x"])
async def test_a_bad_authorization_header_is_refused(browser: Any, header: str) -> None:
    answer = await browser.get("/api/v1/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["code"] == "UNAUTHENTICATED"
