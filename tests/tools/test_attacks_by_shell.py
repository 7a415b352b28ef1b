"""The file rows of the attack table once more, by a command in the container instead of a tool.

Nothing there looks at a command's paths: the container holds, and then the diff gate. So each row is done by a script, the
run's diff is brought into a repository beside which other files lie, and nothing but that repository may change.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import typer
from typer.testing import CliRunner

from hypercode.cli.apply import apply
from hypercode.platform_api import types as api

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

CANARY = "CANARY-of-the-person\n"
gate = typer.Typer()
gate.command()(apply)

ROWS: dict[str, tuple[str, set[str]]] = {
    "F1 paths that lead out": (
        "for path in ../evil /workspace/../evil /evil /proc/self/root/evil /proc/1/root/evil ~root/evil; do"
        " echo x > $path; done; echo ok > f1",
        set(),
    ),
    "F2 a folder that is called alike": ("mkdir /workspace-evil; echo x > /workspace-evil/x; echo ok > f2", set()),
    "F3 symlinks to outside": (
        "ln -s ../outside/canary link; ln -s ../outside folder; ln -s folder chain; ln -s /proc/self/root/etc etc;"
        " echo x > link; echo x > folder/new; echo ok > f3",
        set(),
    ),
    "F5 a dangling symlink": ("ln -s ../outside/made dangling; echo x > dangling; echo ok > f5", set()),
    "F6 a hard link to outside": (
        "ln /etc/passwd hard; ln /opt/hypercode/repair/engine.py hard; echo one > a; ln a b; echo ok > f6",
        set(),
    ),
    "F7 odd files, a huge one, many": (
        "mkfifo pipe; python -c \"import socket; socket.socket(socket.AF_UNIX).bind('sock')\";"
        " truncate -s 60M huge.bin; mkdir many; cd many; seq 3000 | xargs touch; echo ok > ../f7",
        set(),
    ),
    "F8 deceiving names": (
        "printf x > \"$(printf 'a\\nb')\"; printf x > \"$(printf 'txt\\342\\200\\256yp.exe')\";"
        " printf x > \"$(printf '\\033]52;c;x')\"; printf x > %2e%2e; mkdir '..\\\\'; echo ok > f8",
        set(),
    ),
    "F9 files that others obey": (
        "mkdir -p .github/workflows .vscode .claude .githooks; echo x > .github/workflows/ci.yml; echo x > .vscode/tasks.json;"
        " echo x > .claude/settings.json; echo x > .githooks/pre-commit; echo x > .gitattributes; echo x > .env;"
        " mkdir -p .git/hooks; echo x > .git/hooks/pre-commit; echo x >> .git/config; echo ok > f9",
        {
            ".github/workflows/ci.yml",
            ".vscode/tasks.json",
            ".claude/settings.json",
            ".githooks/pre-commit",
            ".gitattributes",
            ".env",
        },
    ),
    "F9 a link where such a folder would lie": ("ln -s ../outside .github; ln -s ../outside .vscode; echo ok > f9b", {".github", ".vscode"}),
    "F10 a patch that leads out": (
        "printf -- '--- a/../evil\\n+++ b/../evil\\n@@ -0,0 +1 @@\\n+x\\n' > p; (patch -p1 < p || git apply p); rm -f p; echo ok > f10",
        set(),
    ),
}  # fmt: skip


# Unpacked without any of the checks that Python's own tools have.
UNPACK = """
import io, tarfile
made = io.BytesIO()
with tarfile.open(fileobj=made, mode='w') as tar:
    for name in ('../evil', '/evil', '/workspace-evil/x', '.github/workflows/ci.yml'):
        entry = tarfile.TarInfo(name)
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b'x'))
made.seek(0)
with tarfile.open(fileobj=made) as tar:
    for entry in tar:
        try:
            tar.extract(entry, filter='fully_trusted')
        except OSError:
            continue
"""
ROWS["F12 an archive with paths that lead out"] = (
    f'python -c "{UNPACK}"; echo ok > f12',
    {".github/workflows/ci.yml"},
)


@pytest.fixture
async def clean(hands: Any) -> AsyncIterator[Any]:
    """The workspace as it was before each row: an attack's files are not the next one's."""
    taken = await hands.call("fs_snapshot", label="before a row")
    yield hands
    restored = await hands.call("fs_restore", snapshot_id=taken.data["snapshot_id"])
    assert restored.ok, restored.text


@pytest.fixture
def person(source: Path, tmp_path: Path) -> Path:
    """A person's folder: the repository that the diff is for, and what must stay as it is beside it."""
    shutil.copytree(source, tmp_path / "repo")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text(CANARY)
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    return tmp_path


def around(person: Path) -> dict[str, str]:
    """Everything beside the repository, and the repository's own gitdir."""
    places = [person / "outside", person / "repo" / ".git"]
    names = {entry.name: "" for entry in person.iterdir()}
    return names | {
        os.fspath(file): file.read_bytes().hex()
        for place in places
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("row", ROWS)
async def test_what_a_command_does_stays_in_the_container_and_is_gated(
    row: str, clean: Any, person: Path
) -> None:
    script, protected = ROWS[row]
    with anyio.fail_after(60):
        await clean.call("sh_exec", script=script)
        exported = await clean.platform.diff_export(
            api.DiffExport(run_id=clean.run.id, workspace_id=clean.run.workspace_id, message="done")
        )
    # The script went on to its end, whatever of it was refused.
    assert script.split()[-1].removeprefix("../") in exported.files
    for path in exported.files:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert not path.startswith(".git/")
    diff = person.parent / f"{person.name}.diff"
    diff.write_text(exported.diff)
    before = around(person)
    asked = CliRunner().invoke(gate, [str(diff), "--repo", str(person / "repo")])
    assert asked.exit_code == (3 if protected else 0), asked.output
    assert {path for path in protected if path not in asked.output} == set()
    if protected:
        assert not any(
            (person / "repo" / path).is_symlink() or (person / "repo" / path).exists() for path in protected
        )
        allowed = CliRunner().invoke(gate, [str(diff), "--repo", str(person / "repo"), "--allow-protected"])
        assert allowed.exit_code == 0, allowed.output
    assert around(person) == before


async def test_f11_a_slow_pattern_ends_at_its_time(clean: Any) -> None:
    slow = "import re; re.search('(a+)+$', 'a' * 200 + 'b')"
    with anyio.fail_after(30):
        ended = await clean.call("sh_exec", argv=["python", "-c", slow], timeout_s=1)
        assert (await clean.call("fs_read", path="calc.py")).ok
    assert ended.data["timed_out"] is True
