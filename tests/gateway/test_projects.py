"""Projects: who sees them, and which sources are taken."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hypercode.settings import Settings

pytestmark = pytest.mark.anyio
NewPerson = Callable[..., Awaitable[Any]]


async def connect(person: Any, kind: str, source: str, **fields: Any) -> Any:
    return await person.client.post(
        "/api/v1/projects", json={"source_kind": kind, "source": source, **fields}
    )


async def test_a_project_is_its_organisations_alone(
    admin: Any, new_person: NewPerson, tmp_path: Path
) -> None:
    (tmp_path / "code/app").mkdir()
    project = (await connect(admin, "local_path", str(tmp_path / "code/app"))).json()
    assert project["name"] == "app"
    colleague = await new_person(role="member")
    stranger = await new_person(organisation="org_b")
    path = f"/api/v1/projects/{project['id']}"

    assert (await colleague.client.get(path)).json() == project
    assert (await stranger.client.get(path)).status_code == 404
    assert (await stranger.client.patch(path, json={"name": "mine"})).status_code == 404
    assert (await stranger.client.get("/api/v1/projects")).json() == {"items": []}
    task = await stranger.client.post("/api/v1/tasks", json={"project_id": project["id"], "prompt": "Hi"})
    assert task.status_code == 404

    environment = {**project["environment"], "setup": ["pip install -e ."], "check_timeout_s": 60.0}
    changed = await admin.client.patch(path, json={"name": "The app", "environment": environment})
    assert changed.json() == {**project, "name": "The app", "environment": environment}
    assert (await admin.client.get(path)).json() == changed.json()


async def test_names_are_unique_in_an_organisation_and_free_in_another(
    admin: Any, new_person: NewPerson
) -> None:
    url = "https://git.example.com/a/b.git"
    assert (await connect(admin, "git_url", url)).json()["name"] == "b"
    assert (await connect(admin, "git_url", url)).status_code == 409
    other = (await connect(admin, "git_url", url, name="c")).json()
    renamed = await admin.client.patch(f"/api/v1/projects/{other['id']}", json={"name": "b"})
    assert renamed.status_code == 409
    stranger = await new_person(organisation="org_b")
    assert (await connect(stranger, "git_url", url)).status_code == 201


async def test_only_admins_connect_local_paths(new_person: NewPerson, tmp_path: Path) -> None:
    (tmp_path / "code/app").mkdir()
    for role in ("member", "maintainer"):
        person = await new_person(role=role)
        answer = await connect(person, "local_path", str(tmp_path / "code/app"))
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


async def test_without_allowed_roots_no_local_path_is_taken(
    admin: Any, settings: Settings, tmp_path: Path
) -> None:
    settings.gateway.allowed_roots.clear()
    answer = await connect(admin, "local_path", str(tmp_path / "code"))
    assert answer.status_code == 403
    assert "HYPERCODE_GATEWAY__ALLOWED_ROOTS" in answer.json()["hint"]
