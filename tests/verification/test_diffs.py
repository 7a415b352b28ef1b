"""Git's own diffs are read back to what was done."""

from pathlib import Path

from tests.verification.bench import git, write_files

from hypercode.verification.diffs import read_diff
from hypercode.verification.paths import environment_changed, frozen_paths


def make_diff(directory: Path, before: dict[str, str | None], after: dict[str, str | None]) -> str:
    git(directory, "init", "-q")
    write_files(directory, before)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "base")
    write_files(directory, after)
    git(directory, "add", "-A")
    return git(directory, "diff", "--cached", "--binary", "-M", "HEAD")


def test_every_kind_of_change(tmp_path: Path) -> None:
    body = "".join(f"line {n}\n" for n in range(30))
    diff = make_diff(
        tmp_path,
        {"gone.py": "x = 1\n", "old name.py": body, "tests/test_ä b.py": "a\nb\nc\n", "no_end.txt": "a"},
        {
            "gone.py": None,
            "old name.py": None,
            "new name.py": body.replace("line 3\n", "line three\n"),
            "tests/test_ä b.py": "a\n--- x\n+++ y\nc\n",
            "no_end.txt": "b",
            "added.py": "y = 2\n",
        },
    )
    by_path = {change.path: change for change in read_diff(diff)}
    assert set(by_path) == {"gone.py", "new name.py", "tests/test_ä b.py", "no_end.txt", "added.py"}
    assert (by_path["gone.py"].new_path, by_path["added.py"].old_path) == (None, None)
    assert by_path["new name.py"].old_path == "old name.py"
    assert [(line.number, line.text) for line in by_path["tests/test_ä b.py"].added] == [
        (2, "--- x"),
        (3, "+++ y"),
    ]
    assert by_path["no_end.txt"].removed == ["a"]


def test_content_can_not_pose_as_a_header(tmp_path: Path) -> None:
    text = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-x\n+import os; os._exit(0)\n"
    changes = read_diff(make_diff(tmp_path, {"a.py": "x\n"}, {"a.py": text}))
    assert [change.path for change in changes] == ["a.py"]
    assert len(changes[0].added) == 6


def test_binary_and_mode(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "link").symlink_to("/etc/passwd")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "base")
    diff = git(tmp_path, "diff", "--binary", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "HEAD")
    by_path = {change.path: change for change in read_diff(diff)}
    assert by_path["a.bin"].binary
    assert by_path["link"].mode == "120000"


def test_frozen_paths_and_manifests(tmp_path: Path) -> None:
    after: dict[str, str | None] = {
        "src/a.py": "1\n", "tests/data/x.json": "{}\n", "pkg/test_b.py": "1\n", "pkg/c_test.py": "1\n",
        "conftest.py": "1\n", "pytest.ini": "1\n", "uv.lock": "1\n", "latest.py": "1\n",
    }  # fmt: skip
    changes = read_diff(make_diff(tmp_path, {"README.md": "x\n"}, after))
    assert frozen_paths(changes) == [
        "conftest.py", "pkg/c_test.py", "pkg/test_b.py", "pytest.ini", "tests/data/x.json",
    ]  # fmt: skip
    assert environment_changed(changes)
    assert not environment_changed([change for change in changes if change.path == "src/a.py"])
