"""``hypercode apply`` looks at every path that git would touch, in whatever form the diff names it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hypercode.cli.apply import apply, paths_of

app = typer.Typer()
app.command()(apply)

PLAIN = "--- a/.env\n+++ b/.env\n@@ -0,0 +1 @@\n+A=1\n"
CASES = {
    PLAIN: {".env"},
    PLAIN.replace(" a/.env", " /dev/null"): {".env"},
    "diff --git a/.github/workflows/a.yml b/x.yml\nsimilarity index 100%\nrename from .github/workflows/a.yml\n"
    "rename to x.yml\n": {".github/workflows/a.yml", "x.yml"},
    'diff --git "a/.vscode/\\303\\244.json" "b/.vscode/\\303\\244.json"\nnew file mode 100644\n--- /dev/null\n'
    '+++ "b/.vscode/\\303\\244.json"\n@@ -0,0 +1 @@\n+x\n': {".vscode/ä.json"},
    "diff --git a/.env b/.env\ndeleted file mode 100644\n--- a/.env\n+++ /dev/null\n@@ -1 +0,0 @@\n-A=1\n": {
        ".env"
    },
    "diff --git a/.githooks/x b/.githooks/x\nold mode 100644\nnew mode 100755\n": {".githooks/x"},
}


@pytest.mark.parametrize("diff", CASES)
def test_every_path_of_a_diff_is_found(diff: str) -> None:
    assert set(paths_of(diff.encode())) == CASES[diff]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    (tmp_path / "d.diff").write_text(PLAIN.replace(" a/.env", " /dev/null"))
    return repo


def test_without_a_terminal_nothing_is_applied(repo: Path) -> None:
    diff = str(repo.parent / "d.diff")
    refused = CliRunner().invoke(app, [diff, "--repo", str(repo)])
    assert refused.exit_code == 3
    assert ".env" in refused.output
    assert "--allow-protected" in refused.output
    assert not (repo / ".env").exists()
    assert CliRunner().invoke(app, [diff, "--repo", str(repo), "--check"]).exit_code == 0
    assert CliRunner().invoke(app, [diff, "--repo", str(repo), "--allow-protected"]).exit_code == 0
    assert (repo / ".env").read_text() == "A=1\n"


@pytest.mark.parametrize(("word", "code"), [(b"n\n", 3), (b"y\n", 0)])
def test_in_a_terminal_a_person_is_asked(repo: Path, word: bytes, code: int) -> None:
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "hypercode", "apply", str(repo.parent / "d.diff"), "--repo", str(repo)]
    process = subprocess.Popen(command, stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    said = b""
    while b"Apply them?" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, word)
    assert process.wait(timeout=60) == code
    os.close(terminal)
    assert b".env" in said
    assert (repo / ".env").exists() is (code == 0)
