from __future__ import annotations

import subprocess

import pytest

from hypercode.repair.edits import Replacement, anchored_edits, apply, unified_diff


def test_replacements_are_made_in_any_order():
    assert apply("one two", (Replacement(4, 7, "2"), Replacement(0, 3, "1"))) == "1 2"


def test_offset_is_taken_off():
    assert apply("two", (Replacement(4, 7, "2"),), offset=4) == "2"


def test_overlapping_replacements_are_refused():
    with pytest.raises(ValueError, match="overlap"):
        apply("one", (Replacement(0, 2, ""), Replacement(1, 3, "")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a = 1\nb = 2\n", "a = 1\nb = 3\n"),
        ("same\nsame\nsame\n", "same\nother\nsame\n"),
        ("x\n" * 5, "x\n" * 6),
        ("one\ntwo", "one\ntwo\nthree"),
        ("a\nb\nc\nd\ne\n", "A\nb\nc\nd\nE\n"),
        ("pass\n", "return\n"),
    ],
)
def test_edits_have_text_that_occurs_once(old: str, new: str):
    text = old
    for edit in anchored_edits("f.py", old, new):
        assert text.count(edit["old"]) == 1
        text = text.replace(edit["old"], edit["new"])
    assert text == new


@pytest.mark.parametrize("old", ["one\ntwo\n", "one\ntwo", "one\r\ntwo\r\n"])
def test_diff_applies(tmp_path, old: str):
    new = old.replace("two", "2")
    (tmp_path / "f.py").write_bytes(old.encode())
    diff = unified_diff("f.py", old, new)
    subprocess.run(["git", "apply"], cwd=tmp_path, input=diff.encode(), check=True)
    assert (tmp_path / "f.py").read_bytes() == new.encode()
