"""The built UI: its files and nothing else, under a policy that lets its own scripts run and no other."""

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from hypercode.gateway.app import create_app
from hypercode.gateway.static_ui import StaticUi
from hypercode.settings import Settings
from hypercode.store.database import Database

pytestmark = pytest.mark.anyio
SCRIPT = 'self.__next_f.push([1,"a < b && c & é"])'
PAGE = f'<!doctype html><script src="/_next/static/a.js"></script><script>{SCRIPT}</script><p>%s'


def hash_of(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    export = tmp_path / "export"
    (export / "_next/static").mkdir(parents=True)
    (export / "projects").mkdir()
    for name in ("index", "task", "tasks", "404", "projects/index"):
        (export / f"{name}.html").write_text(PAGE % name)
    (export / "index.txt").write_text("router data")
    (export / "_next/static/a.js").write_text("1")
    (export / "icon.svg").write_text("<svg/>")
    (export / "link").symlink_to("/etc/passwd")
    (tmp_path / "secret.html").write_text("secret")
    return export


@pytest.fixture
async def pages(settings: Settings, database: Database, export: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings, database, ui=StaticUi(export))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hypercode.test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "content", "media_type", "cache"),
    [
        ("/", 200, "<p>index", "text/html; charset=utf-8", "no-cache"),
        ("/task?id=tsk_1", 200, "<p>task", "text/html; charset=utf-8", "no-cache"),
        ("/tasks/", 200, "<p>tasks", "text/html; charset=utf-8", "no-cache"),
        ("/projects", 200, "<p>projects/index", "text/html; charset=utf-8", "no-cache"),
        ("/nothing/here", 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
        ("/index.txt", 200, "router data", "text/x-component; charset=utf-8", "no-cache"),
        ("/icon.svg", 200, "<svg/>", "image/svg+xml", "no-cache"),
        (
            "/_next/static/a.js",
            200,
            "1",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
        ("/link", 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
        ("/..%2fsecret.html", 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
        ("/%2e%2e/secret", 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
        ("/a%00b", 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
        ("/" + "a" * 5000, 404, "<p>404", "text/html; charset=utf-8", "no-cache"),
    ],
)
async def test_files(
    pages: httpx2.AsyncClient, path: str, status: int, content: str, media_type: str, cache: str
) -> None:
    answer = await pages.get(path)
    assert answer.status_code == status
    assert answer.text.endswith(content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == cache
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_a_tasks_address_leads_to_its_page(pages: httpx2.AsyncClient) -> None:
    task_id = "tsk_" + "a" * 32
    answer = await pages.get(f"/tasks/{task_id}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/task?id={task_id}")
    assert (await pages.get("/tasks/evil.test%2f..")).status_code == 404


async def test_the_policy_names_the_pages_own_inline_scripts_and_follows_a_rebuild(
    pages: httpx2.AsyncClient, export: Path
) -> None:
    policy = (await pages.get("/")).headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts == f"script-src 'self' {hash_of(SCRIPT)}"

    (export / "index.html").write_text("<script>rebuilt()</script><script>twice()\n</script>")
    os.utime(export / "index.html", ns=(1, 1))

    policy = (await pages.get("/")).headers["content-security-policy"]
    assert hash_of("rebuilt()") in policy
    assert hash_of("twice()\n") in policy
    assert hash_of(SCRIPT) not in policy
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts


async def test_without_a_build_a_page_says_how_to_build(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    app: FastAPI = create_app(settings, database, ui=StaticUi(tmp_path / "none"))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://hypercode.test"
    ) as client:
        answer = await client.get("/")
        assert answer.status_code == 200
        assert "make web" in answer.text
        assert (await client.get("/api/openapi.json")).status_code == 200


async def test_the_api_is_never_answered_with_a_page(pages: httpx2.AsyncClient) -> None:
    answer = await pages.get("/api/v1/nothing")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (
        (await pages.get("/api/openapi.json"))
        .headers["content-security-policy"]
        .startswith("default-src 'none'")
    )
