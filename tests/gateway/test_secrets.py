"""A project's secrets over REST: set and deleted by those who may, never read back by anybody."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text

from hypercode.domain.errors import Conflict
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.sealing import new_sealing_key, unseal
from hypercode.store.secrets import belongs_to
from hypercode.store.tables import SecretRow

pytestmark = pytest.mark.anyio

VALUE = "correct-horse-battery"


@pytest.fixture
def private_key(settings: Settings) -> str:
    private, public = new_sealing_key()
    (settings.keys_dir / "secrets.pub").write_text(public)
    return private


@pytest.fixture
def path(project_id: str, private_key: str) -> str:
    return f"/api/v1/projects/{project_id}/secrets"


async def test_a_value_is_kept_sealed_and_never_shown(
    admin: Any, path: str, project_id: str, private_key: str, empty_database: Database
) -> None:
    first = await admin.client.put(f"{path}/TOKEN", json={"value": "an-older-value"})
    second = await admin.client.put(f"{path}/TOKEN", json={"value": VALUE})
    listed = await admin.client.get(path)

    assert (first.status_code, first.json()["version"], second.json()["version"]) == (200, 1, 2)
    assert listed.json()["items"] == [second.json()]
    assert second.json()["changed_by"] == admin.user.email
    assert second.json()["last_used_at"] is None
    assert VALUE not in first.text + second.text + listed.text
    async with empty_database.transaction() as session:
        dump = "".join((await session.scalars(text("SELECT s::text FROM secrets s"))).all())
        row = await session.get(SecretRow, (project_id, "TOKEN"))
    assert row is not None
    assert row.sealed is not None
    assert VALUE not in dump
    assert VALUE.encode().hex() not in dump
    assert unseal(private_key, row.sealed, belongs_to(row)) == VALUE.encode()
    row.name = "OTHER"
    with pytest.raises(Conflict):
        unseal(private_key, row.sealed, belongs_to(row))


async def test_a_deleted_secret_is_gone_and_its_version_never_comes_back(admin: Any, path: str) -> None:
    await admin.client.put(f"{path}/TOKEN", json={"value": VALUE})
    assert (await admin.client.delete(f"{path}/TOKEN")).status_code == 204
    assert (await admin.client.delete(f"{path}/TOKEN")).status_code == 404
    assert (await admin.client.get(path)).json() == {"items": []}
    again = await admin.client.put(f"{path}/TOKEN", json={"value": VALUE})
    assert again.json()["version"] == 2


@pytest.mark.parametrize(
    "value",
    ["", "short", "1234567", "aaaaaaaaaaaa", "with-\0-zero", " " * 20, "x\ud800" + VALUE, "ab" * 20_000],
)
async def test_values_that_cannot_be_kept_out_of_results_are_refused(
    admin: Any, path: str, value: str
) -> None:
    body = '{"value": "' + "".join(f"\\u{ord(char):04x}" for char in value) + '"}'
    answer = await admin.client.put(
        f"{path}/TOKEN", content=body, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
    assert len(value) < 7 or value not in answer.text
    assert (await admin.client.get(path)).json() == {"items": []}


@pytest.mark.parametrize("body", [{"value": [VALUE]}, {"value": VALUE, "more": 1}, {"valu": VALUE}, VALUE])
async def test_a_refusal_does_not_repeat_the_value(admin: Any, path: str, body: object) -> None:
    answer = await admin.client.put(f"{path}/TOKEN", json=body)
    assert 400 <= answer.status_code < 500
    assert VALUE not in answer.text


@pytest.mark.parametrize(
    "name", ["token", "1TOKEN", "PATH", "LD_PRELOAD", "GIT_DIR", "A" * 65, "HTTPS_PROXY", "A-B"]
)
async def test_names_that_steer_programs_are_refused(admin: Any, path: str, name: str) -> None:
    answer = await admin.client.put(f"{path}/{name}", json={"value": VALUE})
    assert 400 <= answer.status_code < 500


async def test_who_may(path: str, new_person: Callable[..., Awaitable[Any]]) -> None:
    maintainer, member = await new_person("maintainer"), await new_person("member")
    stranger = await new_person("admin", organisation="org_b")
    assert (await member.client.put(f"{path}/TOKEN", json={"value": VALUE})).status_code == 403
    assert (await maintainer.client.put(f"{path}/TOKEN", json={"value": VALUE})).status_code == 200
    assert [item["name"] for item in (await member.client.get(path)).json()["items"]] == ["TOKEN"]
    assert (await member.client.delete(f"{path}/TOKEN")).status_code == 403
    for answer in (
        await stranger.client.get(path),
        await stranger.client.put(f"{path}/TOKEN", json={"value": VALUE}),
        await stranger.client.delete(f"{path}/TOKEN"),
    ):
        assert answer.status_code == 404
