"""Stopping a run."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from anyio import fail_after

from hypercode.store.channels import RUN_CONTROL
from hypercode.store.database import Database
from hypercode.store.runs import get_run

pytestmark = pytest.mark.anyio


async def test_cancel_asks_once_and_wakes_the_workers(
    admin: Any,
    new_task: Callable[..., Awaitable[dict[str, str]]],
    new_person: Callable[..., Awaitable[Any]],
    empty_database: Database,
    database_url: str,
) -> None:
    run_id = (await new_task())["run_id"]
    stranger = await new_person(organisation="org_b")
    assert (await stranger.client.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 404
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(f'LISTEN "{RUN_CONTROL}"'.encode())

        first = await admin.client.post(f"/api/v1/runs/{run_id}/cancel")

        with fail_after(10):
            notification = await anext(connection.notifies())
    assert notification.payload == run_id
    assert (first.status_code, first.json()) == (202, {"requested": True})
    again = await admin.client.post(f"/api/v1/runs/{run_id}/cancel")
    assert (again.status_code, again.json()) == (202, {"requested": False})
    async with empty_database.transaction() as session:
        assert (await get_run(session, run_id)).cancel_requested_at is not None
