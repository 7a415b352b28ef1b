"""What a diff adds is read as git writes it: whole files, deltas, and names in any shape."""

import random
import subprocess
from pathlib import Path

import pytest

from hypercode.domain.errors import InvalidArgument, TooLarge
from hypercode.tools import diff_texts
from hypercode.tools.diff_texts import added

VALUE = "c4nary-S3cret-value"


def diff_of(root: Path, before: dict[str, bytes], after: dict[str, bytes]) -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", root, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    for files in (before, after):
        for name, data in files.items():
            (root / name).write_bytes(data)
        git("add", "-A")
        tree = git("write-tree").strip()
        git("update-ref", f"refs/trees/{'after' if files is after else 'before'}", tree)
    return git("diff", "--binary", "--full-index", "--no-renames", "refs/trees/before", "refs/trees/after")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 25, 26, 27, 51, 52, 53, 5000])
def test_a_new_binary_file(tmp_path: Path, size: int) -> None:
    noise = random.Random(size).randbytes(size)
    diff = diff_of(tmp_path, {}, {"a b\n.bin": b"\0" + noise + VALUE.encode()})
    assert "literal " in diff
    assert any(VALUE in text for _, text in added(diff))


def test_a_binary_file_that_grew_by_a_value(tmp_path: Path) -> None:
    base = random.Random(1).randbytes(20_000)
    diff = diff_of(tmp_path, {"x": base}, {"x": base[:9000] + VALUE.encode() + base[9000:]})
    assert "delta " in diff
    assert any(VALUE in text for _, text in added(diff))


def test_a_value_that_goes_away_is_not_added(tmp_path: Path) -> None:
    files = {"x": b"\0" + VALUE.encode(), "y": VALUE.encode()}
    diff = diff_of(tmp_path, files, {"x": b"\0nothing", "y": b"nothing"})
    assert not any(VALUE in text for _, text in added(diff))


def test_a_text_file_that_looks_like_a_binary_patch(tmp_path: Path) -> None:
    lines = f"GIT binary patch\nliteral 5\nzzz\n\ndiff --git a/q b/q\n{VALUE}\n"
    diff = diff_of(tmp_path, {"x": b"one\n"}, {"x": b"one\n" + lines.encode()})
    assert [VALUE in text for _, text in added(diff)] == [True]


def test_more_than_can_be_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diff = diff_of(tmp_path, {}, {"x": bytes(60_000), "y": bytes(60_000)})
    monkeypatch.setattr(diff_texts, "MAX_BINARY", 100_000)
    with pytest.raises(TooLarge):
        list(added(diff))


@pytest.mark.parametrize(
    "rubbish",
    ["", "literal 5", "literal 5\n\n", "literal 5\nzé~~\n\n", "delta 3\nHcmV?d00001\n\n", "x\n\n\n"],
)
def test_rubbish_is_refused_not_passed(rubbish: str) -> None:
    with pytest.raises(InvalidArgument):
        list(added(f"diff --git a/x b/x\nGIT binary patch\n{rubbish}"))
