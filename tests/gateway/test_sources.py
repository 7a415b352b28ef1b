"""Which places a project's code may come from."""

from pathlib import Path

import pytest

from hypercode.domain.errors import InvalidArgument, PermissionDenied
from hypercode.gateway.sources import git_source, local_source

pytestmark = pytest.mark.anyio


def test_a_directory_inside_a_root_is_taken_resolved(tmp_path: Path) -> None:
    (tmp_path / "code/app").mkdir(parents=True)
    (tmp_path / "code/link").symlink_to("app")
    found = local_source(f"{tmp_path}/code/./link", [tmp_path / "code"], tmp_path / "data")
    assert found == str((tmp_path / "code/app").resolve())


def test_what_leads_out_of_the_roots_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code-secret").mkdir()
    (tmp_path / "code/link").symlink_to("/etc")
    (tmp_path / "code/loop").symlink_to("loop")
    (tmp_path / "code/file").write_text("")
    for path in ("/etc", f"{tmp_path}/code/..", f"{tmp_path}/code/link", f"{tmp_path}/code-secret"):
        with pytest.raises(PermissionDenied):
            local_source(path, [tmp_path / "code"], tmp_path / "data")
    for path in ("code", "~", f"{tmp_path}/code/file", f"{tmp_path}/code/none", f"{tmp_path}/code/\0"):
        with pytest.raises(InvalidArgument):
            local_source(path, [tmp_path / "code"], tmp_path / "data")
    with pytest.raises((InvalidArgument, PermissionDenied)):
        local_source(f"{tmp_path}/code/loop", [tmp_path / "code"], tmp_path / "data")


def test_a_path_outside_does_not_tell_whether_it_exists(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    messages: list[str] = []
    for name in ("there", "gone"):
        with pytest.raises(PermissionDenied) as error:
            local_source(str(tmp_path / name), [tmp_path / "code"], tmp_path / "data")
        messages.append(error.value.message.replace(name, "x"))
    assert messages[0] == messages[1]


def test_the_instances_own_data_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "data/keys").mkdir(parents=True)
    for path in (tmp_path, tmp_path / "data", tmp_path / "data/keys"):
        with pytest.raises(PermissionDenied, match="own data"):
            local_source(str(path), [tmp_path], tmp_path / "data")


async def test_a_public_https_url_is_taken() -> None:
    assert await git_source("https://git.example.com/a/b.git") == "https://git.example.com/a/b.git"


@pytest.mark.parametrize(
    "url",
    [
        "http://git.example.com/a.git",
        "git://git.example.com/a.git",
        "ssh://git@git.example.com/a.git",
        "git@git.example.com:a/b.git",
        "file:///etc",
        "ext::sh -c id",
        "https://",
        "https://token@git.example.com/a.git",
        "https://user:secret@git.example.com/a.git",
        "https://localhost/a.git",
        "https://LOCALHOST./a.git",
        "https://gitserver/a.git",
        "https://git.corp.internal/a.git",
        "https://127.0.0.1/a.git",
        "https://127.1/a.git",
        "https://2130706433/a.git",
        "https://0x7f.0.0.1/a.git",
        "https://10.0.0.5/a.git",
        "https://169.254.169.254/latest",
        "https://[::1]/a.git",
        "https://[::ffff:10.0.0.1]/a.git",
        "https://[fe80::1%25eth0]/a.git",
        "https://git.example.com:99999/a.git",
        "https://[bad/a.git",
        "https://git.example.com/a.git?x=1",
        "https://git.example.com/a b.git",
        "https://git.example.com/a\n.git",
        "--upload-pack=id",
    ],
)
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        await git_source(url)
    assert "secret" not in error.value.message
