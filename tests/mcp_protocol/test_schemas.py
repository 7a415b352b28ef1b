"""Paths can't leave the workspace, arguments can't smuggle fields, and one call has one canonical form."""

import pytest

from hypercode.domain.errors import InvalidArgument, PathOutside
from hypercode.mcp_protocol.caps import cap_text, storable
from hypercode.mcp_protocol.schemas import (
    Arguments,
    WorkspacePath,
    arguments_sha256,
    canonical_path,
    parse_arguments,
)


class Some(Arguments):
    path: WorkspacePath
    count: int = 1


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("a/b.py", "a/b.py"),
        ("./a//b/./c", "a/b/c"),
        ("/workspace/a.py", "a.py"),
        ("/workspace", "."),
        ("", "."),
        ("a/..b/c..", "a/..b/c.."),
        ("%2e%2e/x", "%2e%2e/x"),
        ("ünïcode/日本.py", "ünïcode/日本.py"),
    ],
)
def test_canonical_paths(given: str, canonical: str) -> None:
    assert canonical_path(given) == canonical


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "/etc/passwd",
        "/workspace-evil/x",
        "/workspace/../etc",
        "~",
        "~root/x",
        "//x",
    ],
)
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(PathOutside):
        canonical_path(path)


@pytest.mark.parametrize(
    "path", ["a\0b", "a\nb", "a\u202eb", "a\u200db", "a\x1b[0m", "\ud800", "x" * 5000, 5, None]
)
def test_paths_with_characters_that_deceive_are_refused(path: object) -> None:
    with pytest.raises(InvalidArgument):
        canonical_path(path)


def test_arguments_are_strict_and_have_one_hash() -> None:
    for wrong in (
        {},
        {"path": "a", "x": 1},
        {"path": "a", "count": "1"},
        {"path": "a", "count": True},
        {"Path": "a"},
    ):
        with pytest.raises(InvalidArgument, match="the arguments do not fit"):
            parse_arguments(Some, wrong)
    one = parse_arguments(Some, {"path": "./a", "count": 1})
    two = parse_arguments(Some, {"count": 1, "path": "/workspace/a"})
    assert arguments_sha256(one) == arguments_sha256(two)
    assert arguments_sha256(one) != arguments_sha256(parse_arguments(Some, {"path": "a", "count": 2}))
    assert Some.model_json_schema()["additionalProperties"] is False


def test_caps_keep_head_and_tail_and_say_what_is_missing() -> None:
    text = "HEAD" + "é" * 50_000 + "TAIL"
    capped, cut = cap_text(text, 1000)
    assert cut
    assert len(capped.encode()) <= 1000
    assert capped.startswith("HEAD")
    assert capped.endswith("TAIL")
    assert "bytes left out" in capped
    assert cap_text("short") == ("short", False)
    assert storable({"a\0": ["\ud800", {"b": "\0"}], "n": 1}) == {"a\ufffd": ["?", {"b": "\ufffd"}], "n": 1}
