"""What a person reads before they approve a call is the call."""

import pytest

from hypercode.domain.approval import facts_of
from hypercode.domain.preview import preview_of, visible
from hypercode.domain.tool_call import Touched


@pytest.mark.parametrize(
    ("tool", "arguments", "kind", "text"),
    [
        (
            "sh_exec",
            {"argv": ["rm", "a b"], "script": "", "cwd": ".", "env": {}, "stdin": ""},
            "command",
            "rm 'a b'",
        ),
        (
            "sh_exec",
            {"script": "make\nmake install", "argv": [], "cwd": "sub", "env": {"A": "1"}, "stdin": "y\n"},
            "command",
            'make\nmake install\n# cwd: "sub"\n# env: {"A": "1"}\n# stdin: "y\\n"',
        ),
        ("fs_write", {"path": "a", "content": "x\ny"}, "diff", "+++ a\n+x\n+y"),
        (
            "fs_edit",
            {"path": "a", "edits": [{"old": "x", "new": "y", "expected_count": 2}], "dry_run": True},
            "diff",
            "+++ a\n@@ # expected_count: 2 @@\n-x\n+y\n# dry_run: true",
        ),
        ("deploy", {"image": "a:1", "port": 80}, "arguments", '{\n "image": "a:1",\n "port": 80\n}'),
    ],
)
def test_a_call_is_shown_whole(tool: str, arguments: dict[str, object], kind: str, text: str) -> None:
    preview = preview_of(tool, arguments)
    assert (preview.kind, preview.text) == (kind, text)


def test_nothing_hides_or_reorders_text() -> None:
    assert (
        visible("a\u202eb\x1b[2Jc\u200bd\re\u2028\tf\n") == "a\\u202eb\\u001b[2Jc\\u200bd\\u000de\\u2028\tf\n"
    )


def test_what_makes_calls_alike() -> None:
    place = Touched(paths=("a",), size=1)
    assert facts_of(place, "1") == facts_of(Touched(paths=("a",), size=900), "2")
    assert facts_of(place, "1") != facts_of(Touched(paths=("a", "b"), size=1), "1")
    # What a command does is not only in its words, and a call that names nothing has only its arguments.
    assert facts_of(Touched(argv=("sh",)), "1") != facts_of(Touched(argv=("sh",)), "2")
    assert facts_of(Touched(), "1") != facts_of(Touched(), "2")
