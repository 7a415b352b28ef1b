"""Reading and applying patches: against Git's own, against rubbish, and what is refused whatever it says."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypercode.domain.errors import HyperCodeError, InvalidArgument, PathOutside, PolicyDenied
from hypercode.tools.patch_text import read_patch, touched_paths
from hypercode.tools.patches import FilePatch, Rejected, apply_patch, split_lines

LINES = st.lists(
    st.sampled_from(["a\n", "b\n", "c\n", "\n", "  a\n", "\tdef\n", "\x0cé\u2028x\n"]), max_size=30
)
ENDS = st.sampled_from(["", "last", "a"])


def unified(body: str, old: str = "a/x", new: str = "b/x") -> str:
    return f"--- {old}\n+++ {new}\n{body}"


def one(text: str, *, strict: bool = True) -> FilePatch:
    (patch,) = read_patch(text, strict=strict)
    return patch


@settings(max_examples=60, deadline=None)
@given(before=LINES, before_end=ENDS, after=LINES, after_end=ENDS, context=st.integers(0, 3))
def test_what_git_says_is_done(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    before_end: str,
    after: list[str],
    after_end: str,
    context: int,
) -> None:
    old, new = "".join(before) + before_end, "".join(after) + after_end
    if old == new:
        return
    folder = tmp_path_factory.mktemp("d")
    (folder / "a").write_text(old)
    (folder / "b").write_text(new)
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", f"-U{context}", "--text", "a", "b"],
        cwd=folder, capture_output=True, text=True, check=False, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    body = done.stdout[done.stdout.index("@@") :]
    assert apply_patch(one(unified(body)), old, strict=True) == new


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([
    "diff --git a/x b/x", "--- a/x", "+++ b/x", "--- /dev/null", "+++ b/../y", "@@ -1,2 +1,2 @@", "@@ -0,0 +1 @@", "@@",
    " a", "-a", "+b", "", "\\ No newline at end of file", "rename from x", "rename to .git/x", "new file mode 120000",
    "new file mode 100644", "deleted file mode 100644", "index 1..2 160000", "*** Begin Patch", "*** Update File: x",
    "*** Add File: y", "*** Delete File: z", "*** Move to: w", "*** End of File", "*** End Patch", "GIT binary patch",
    '--- "a/\\303\\251"', '+++ "b/\\9"', "-- ", "copy from a", "garbage",
]) | st.text(max_size=20), max_size=14), st.booleans())  # fmt: skip
def test_rubbish_is_refused_and_nothing_ever_leaves_the_workspace(lines: list[str], strict: bool) -> None:
    try:
        patches = read_patch("\n".join(lines), strict=strict)
    except HyperCodeError:
        return
    for path in touched_paths(patches):
        parts = path.split("/")
        assert not path.startswith("/")
        assert not {"..", ".", ".git", ""} & set(parts)
    for patch in patches:
        try:
            apply_patch(patch, "a\nb\n", strict=strict)
        except Rejected:
            continue


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (unified("@@ -1 +1 @@\n-a\n+b\n", "a/../../x", "b/../../x"), PathOutside),
        (unified("@@ -1 +1 @@\n-a\n+b\n", "/etc/passwd", "/etc/passwd"), PathOutside),
        (unified("@@ -0,0 +1 @@\n+b\n", "/dev/null", "b/../x"), PathOutside),
        (unified("@@ -1 +0,0 @@\n-b\n", "a/~/x", "/dev/null"), PathOutside),
        (unified("@@ -1 +1 @@\n-a\n+b\n", "a/.git/config", "b/.git/config"), PolicyDenied),
        (unified("@@ -1 +1 @@\n-a\n+b\n", "a/sub/.GIT/config", "b/sub/.GIT/config"), PolicyDenied),
        (unified("@@ -1 +1 @@\n-a\n+b\n", "a/x\x1b[31m", "b/x\x1b[31m"), InvalidArgument),
        (unified("@@ -1 +1 @@\n-a\n+b\n", "a/x", "b/y"), InvalidArgument),
        ("diff --git a/x b/x\nrename from x\nrename to ../y\n", PathOutside),
        ("diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n" + unified("@@ -1 +1 @@\n-a\n+b\n", "a/x", "b/z"), InvalidArgument),
        ("diff --git a/x b/x\n" + unified("@@ -1 +1 @@\n-a\n+b\n", "a/y", "b/y"), InvalidArgument),
        ("diff --git a/x b/x\nnew file mode 120000\n" + unified("@@ -0,0 +1 @@\n+/etc/passwd\n", "/dev/null"), InvalidArgument),
        ("diff --git a/x b/x\nnew file mode 160000\n", InvalidArgument),
        ("diff --git a/x b/x\nnew file mode 104755\n", InvalidArgument),
        ("diff --git a/x b/x\nold mode 100644\nnew mode 120000\n", InvalidArgument),
        ("diff --git a/x b/x\nindex 11..22 120000\n" + unified("@@ -1 +1 @@\n-a\n+b\n"), InvalidArgument),
        ("diff --git a/x b/x\nindex 1..2\nGIT binary patch\nliteral 9\n", InvalidArgument),
        ("diff --git a/x b/x\nBinary files a/x and b/x differ\n", InvalidArgument),
        ("diff --git a/x b/y\ncopy from x\ncopy to y\n", InvalidArgument),
        (unified("@@ -1,2 +1 @@\n-a\n+b\n"), InvalidArgument),
        (unified("@@ -1 +1 @@\n-a\n+b\n") + unified("@@ -1 +1 @@\n-a\n+b\n"), InvalidArgument),
        ("*** Begin Patch\n*** Update File: ../x\n-a\n+b\n*** End Patch", PathOutside),
        ("*** Begin Patch\n*** Update File: x\n*** Move to: /etc/x\n-a\n+b\n*** End Patch", PathOutside),
        ("*** Begin Patch\n*** Add File: .git/hooks/x\n+b\n*** End Patch", PolicyDenied),
        ("*** Begin Patch\n*** Update File: x\n-a\n+b\n", InvalidArgument),
        ("*** Begin Patch\n*** Add File: x\n b\n*** End Patch", InvalidArgument),
        ("*** Begin Patch\n*** End Patch", InvalidArgument),
        ("hello", InvalidArgument),
        ("", InvalidArgument),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_patch(text)


def test_all_that_git_can_say_of_a_file(tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", *identity, *args], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    for name, text in (
        ("mode", "m\n"),
        ("moved", "1\n2\n3\n4\n5\n6\n7\n"),
        ("gone", "g\n"),
        ("só ü", "x\n"),
        ("empty", ""),
    ):
        (tmp_path / name).write_text(text)
    git("add", "-A")
    git("commit", "-qm", "one")
    (tmp_path / "mode").chmod(0o755)
    (tmp_path / "moved").rename(tmp_path / "to")
    (tmp_path / "to").write_text("1\n2\n3\n4\n5\n6\n7\n8\n")
    (tmp_path / "gone").unlink()
    (tmp_path / "empty").unlink()
    (tmp_path / "só ü").write_text("y\n")
    (tmp_path / "fresh").write_text("")
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    git("add", "-A")
    found = {patch.path: patch for patch in read_patch(git("diff", "--cached", "-M", "--no-rename-empty"))}
    assert {path: (patch.status, patch.target, patch.mode) for path, patch in found.items()} == {
        "mode": ("modified", None, 0o755),
        "moved": ("renamed", "to", None),
        "gone": ("deleted", None, None),
        "empty": ("deleted", None, None),
        "só ü": ("modified", None, None),
        "fresh": ("added", None, 0o644),
        "tool": ("added", None, 0o755),
    }
    assert apply_patch(found["moved"], "1\n2\n3\n4\n5\n6\n7\n", strict=True).endswith("7\n8\n")
    with pytest.raises(Rejected):
        apply_patch(found["gone"], "g\nmore\n", strict=True)


BEGIN = """*** Begin Patch
*** Update File: calc.py
@@ class B:
@@ def add(self):
-        return 1
+        return 2
*** Add File: new.py
+one
+
+two
*** Update File: old.py
*** Move to: moved.py
 keep
-drop
*** End of File
*** Delete File: gone.py
*** End Patch
"""


def test_the_form_of_coding_models() -> None:
    calc, new, moved, gone = read_patch(BEGIN)
    text = "class A:\n    def add(self):\n        return 1\nclass B:\n    def add(self):\n        return 1\n"
    assert apply_patch(calc, text, strict=True) == text[: text.rindex("1")] + "2\n"
    assert apply_patch(new, "", strict=True) == "one\n\ntwo\n"
    assert apply_patch(moved, "keep\ndrop\nkeep\ndrop", strict=True) == "keep\ndrop\nkeep\n"
    assert [(patch.status, patch.target) for patch in (moved, gone)] == [
        ("renamed", "moved.py"),
        ("deleted", None),
    ]


def test_strict_wants_the_very_lines_and_one_place() -> None:
    patch = one(unified("@@ -9,2 +9,2 @@\n a\n-b\n+B\n"))
    assert apply_patch(patch, "x\na\nb\n", strict=True) == "x\na\nB\n"
    with pytest.raises(Rejected, match="2 times"):
        apply_patch(patch, "a\nb\na\nb\n", strict=True)
    assert apply_patch(patch, "a\nb\na\nb\n", strict=False) == "a\nb\na\nB\n"
    with pytest.raises(Rejected, match="not in the file"):
        apply_patch(patch, "a  \nb\r\n", strict=True)
    assert apply_patch(patch, "a  \nb\r\n", strict=False) == "a  \nB\n"
    wrong = unified("@@ -1,9 +1,9 @@\n a\n-b\n+B\n")
    assert apply_patch(one(wrong, strict=False), "a\nb\n", strict=False) == "a\nB\n"


def test_a_patch_of_ten_thousand_lines_is_quick_to_refuse() -> None:
    many = "".join(f"{number}\n" for number in range(10_000))
    body = "@@ -1,10000 +1,10000 @@\n" + "".join(f" {line}" for line in split_lines(many)[:-1]) + "-x\n+y\n"
    with pytest.raises(Rejected):
        apply_patch(one(unified(body)), many, strict=True)
