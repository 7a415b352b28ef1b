"""Downloads: the organisation's alone, never shown as a page."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hypercode.domain.artifact import ArtifactKind
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import Database
from hypercode.store.runs import get_run

pytestmark = pytest.mark.anyio


async def test_an_artifact_is_a_download(
    admin: Any,
    new_task: Callable[..., Awaitable[dict[str, str]]],
    new_person: Callable[..., Awaitable[Any]],
    empty_database: Database,
    settings: Settings,
) -> None:
    run_id = (await new_task())["run_id"]
    page = b"<script>alert(document.cookie)</script>"
    async with empty_database.transaction() as session:
        run = await get_run(session, run_id)
        row = await ArtifactStore(settings.artifacts_dir).put(
            session, run, ArtifactKind.REPORT, 'a "b"\r\nSet-Cookie: x=1.html', page, "text/html"
        )

    listed = (await admin.client.get(f"/api/v1/runs/{run_id}/artifacts")).json()["items"]
    answer = await admin.client.get(f"/api/v1/artifacts/{row.id}")

    assert [(item["id"], item["kind"], item["size"]) for item in listed] == [(row.id, "report", len(page))]
    assert answer.content == page
    assert answer.headers["content-disposition"] == 'attachment; filename="a__b___Set-Cookie__x_1.html"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "set-cookie" not in answer.headers
    stranger = await new_person(organisation="org_b")
    for path in (f"artifacts/{row.id}", f"runs/{run_id}/artifacts", f"runs/{run_id}"):
        assert (await stranger.client.get(f"/api/v1/{path}")).status_code == 404


async def test_an_artifact_that_was_changed_is_not_handed_out(
    admin: Any,
    new_task: Callable[..., Awaitable[dict[str, str]]],
    empty_database: Database,
    settings: Settings,
) -> None:
    run_id = (await new_task())["run_id"]
    async with empty_database.transaction() as session:
        run = await get_run(session, run_id)
        row = await ArtifactStore(settings.artifacts_dir).put(
            session, run, ArtifactKind.DIFF, "d", b"-a\n", "text/x-diff"
        )
    (settings.artifacts_dir / row.sha256[:2] / row.sha256).write_bytes(b"+a\n")
    answer = await admin.client.get(f"/api/v1/artifacts/{row.id}")
    assert (answer.status_code, answer.json()["code"]) == (500, "DAMAGED")
