"""Rows F1-F11 of the attack table for the tools that find, change, move and delete, over the real chain."""

import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

ROUNDS = int(os.environ.get("RACE_ROUNDS", "1000"))
RUNNER = ["/opt/rt/lib/loader", "--library-path", "/opt/rt/lib", "/opt/rt/bin/python3", "-I", "-S", "-c"]
RACE = (Path(__file__).parent / "symlink_race.py").read_text()


def patch(path: str) -> str:
    return f"--- {path}\n+++ {path}\n@@ -1 +1 @@\n-root\n+x\n"


def begin(path: str) -> str:
    return f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch"


def calls(path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every tool of the group that names a path, with this one."""
    return [
        ("fs_apply_patch", {"patch": patch(path)}),
        ("fs_apply_patch", {"patch": begin(path)}),
        ("fs_stat", {"paths": ["calc.py", path]}),
        ("fs_move", {"source": path, "target": "new"}),
        ("fs_move", {"source": "calc.py", "target": path}),
        ("fs_delete", {"path": path, "recursive": True}),
        ("code_symbols", {"path": path}),
        ("git_add", {"paths": [path]}),
        ("git_restore", {"paths": [path]}),
        ("git_commit", {"message": "x", "paths": [path]}),
        ("git_blame", {"path": path}),
        ("git_log", {"paths": [path]}),
        ("git_show", {"file": path}),
    ]


async def codes(hands: Any, path: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for tool, arguments in calls(path):
        outcome = await hands.call(tool, **arguments)
        found.setdefault(outcome.code if not outcome.ok else "OK", set()).add(tool)
    return found


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "~",
        "/proc/self/environ",
        "/proc/self/root/..",
        "a/../../b",
        "/workspace-evil/x",
    ],
)
async def test_f1_f2_paths_outside(hands: Any, path: str) -> None:
    assert set(await codes(hands, path)) == {"PATH_OUTSIDE"}
    assert (await hands.call("fs_glob", pattern=path + "/*")).code == "PATH_OUTSIDE"


async def test_f3_f5_symlinks_are_not_followed_out(hands: Any) -> None:
    await hands.shell(
        "mkdir -p f3/in && cd f3 && ln -s /etc/passwd file && ln -s /etc dir && ln -s file chain && ln -s /tmp/new dangling"
        " && ln -s /tmp out && ln -s in inner && ls /tmp > /home/sandbox/before"
    )
    for path in ("f3/dir/passwd", "f3/out/new", "f3/dir/no/such", "f3/inner/x"):
        for tool, arguments in calls(path)[:6]:
            outcome = await hands.call(tool, **arguments)
            refused = outcome.code in ("PATH_OUTSIDE", "CONFLICT", "NOT_FOUND")
            assert not outcome.ok or path == "f3/inner/x", (tool, path, outcome.text)
            assert refused or outcome.ok, (tool, path, outcome.text)
    for path in ("f3/file", "f3/chain", "f3/dangling"):
        assert not (await hands.call("fs_apply_patch", patch=patch(path))).ok
        assert not (await hands.call("fs_apply_patch", patch=begin(path))).ok
    facts = (await hands.call("fs_stat", paths=["f3/file", "f3/dangling"])).data["entries"]
    assert [(each["kind"], each["links_to"]) for each in facts] == [
        ("symlink", "/etc/passwd"),
        ("symlink", "/tmp/new"),
    ]
    found = await hands.call("fs_glob", pattern="f3/**")
    assert {entry["path"] for entry in found.data["entries"] if entry["kind"] != "symlink"} == {"f3", "f3/in"}
    # A link is moved and deleted itself; what it leads to stays.
    assert (await hands.call("fs_move", source="f3/out", target="f3/there")).ok
    assert (await hands.call("fs_delete", path="f3/there", recursive=True)).ok
    assert (await hands.call("fs_delete", path="f3", recursive=True)).ok
    assert (
        await hands.shell("ls /tmp | diff - /home/sandbox/before && test -s /etc/passwd && echo whole")
        == "whole\n"
    )


async def test_f4_a_link_swapped_in_between_wins_no_race(hands: Any) -> None:
    """RACE_ROUNDS=20000 (make attacks) is the full form."""
    done = await hands.call("sh_exec", argv=[*RUNNER, RACE, str(ROUNDS)], timeout_s=280)
    assert done.data["exit_code"] == 0, done.text
    seen: dict[str, dict[str, int]] = json.loads(done.data["stdout"])
    print(json.dumps({"rounds": ROUNDS, **seen}))
    naive = seen.pop("realpath")
    assert naive["escaped"] > 0 or ROUNDS < 5000
    assert {verb: counts["escaped"] for verb, counts in seen.items()} == dict.fromkeys(seen, 0)
    # Both the directory and the link were met, else there was no race.
    for outcome in ("worked", "refused"):
        assert sum(counts[outcome] for counts in seen.values()) > ROUNDS, seen
    await hands.shell("rm -rf race /tmp/outside")


async def test_f4_over_the_whole_chain(hands: Any) -> None:
    await hands.shell(
        "rm -rf race /tmp/outside; mkdir -p race/d /tmp/outside; echo inside > race/d/f; echo CANARY > /tmp/outside/f; ln -s /tmp/outside race/l"
    )
    swap = (
        "import ctypes; c = ctypes.CDLL(None)\nwhile True: c.renameat2(-100, b'race/d', -100, b'race/l', 2)"
    )
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: hands.call("sh_exec", argv=[*RUNNER, swap], timeout_s=60))
        for number in range(12):
            for tool, arguments in (
                ("fs_read", {"path": "race/d/f"}),
                ("fs_write", {"path": "race/d/new", "content": "x"}),
                ("fs_apply_patch", {"patch": begin(f"race/d/p{number}")}),
                ("fs_delete", {"path": "race/d/new"}),
                ("fs_search", {"pattern": "CANARY", "globs": ["race/**"]}),
                ("fs_glob", {"pattern": "race/**"}),
            ):
                assert "CANARY" not in (await hands.call(tool, **arguments)).text
        group.cancel_scope.cancel()
    assert await hands.shell("ls /tmp/outside; cat /tmp/outside/f; rm -rf race /tmp/outside") == "f\nCANARY\n"


async def test_f6_f7_odd_files_and_many_entries(hands: Any) -> None:
    """50,000 entries; a million takes longer to make than to list."""
    await hands.shell(
        "mkfifo pipe; ln -s /dev/zero zero; echo root > one; ln one two; head -c 5000000 /dev/zero > huge"
    )
    with anyio.fail_after(20):
        for path in ("pipe", "zero", "two", "huge"):
            assert not (await hands.call("fs_apply_patch", patch=patch(path))).ok, path
    assert await hands.shell("cat one") == "root\n"
    await hands.shell(
        "rm -f pipe zero one two huge; mkdir many && cd many && seq 1 50000 | xargs -n 5000 touch"
    )
    started = time.monotonic()
    tree = await hands.call("fs_tree", path="many", limit=100)
    found = await hands.call("fs_glob", pattern="many/*", limit=2000)
    assert (len(tree.data["entries"]), tree.data["truncated"]) == (100, True)
    assert (len(found.data["entries"]), found.data["truncated"]) == (2000, True)
    more = await hands.call("fs_glob", pattern="many/*", limit=2000, cursor=found.data["next_cursor"])
    assert more.data["entries"][0]["path"] > found.data["entries"][-1]["path"]
    assert (await hands.call("fs_delete", path="many", recursive=True)).data["deleted"] > 50_000
    print(f"50,000 entries: listed three times and deleted in {time.monotonic() - started:.2f} s")


@pytest.mark.parametrize("path", ["a\0b", "a\nb", "a\u202etxt.py", "a\u200bb", "\x1b]52;c;x\x07"])
async def test_f8_deceiving_names(hands: Any, path: str) -> None:
    for tool, arguments in calls(path):
        outcome = await hands.call(tool, **arguments)
        assert outcome.code == "INVALID_ARGUMENT", (tool, outcome.text)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (".git/hooks/pre-commit", "POLICY_DENIED"),
        (".git", "POLICY_DENIED"),
        ("sub/.git/config", "POLICY_DENIED"),
        (".gitattributes", "PENDING_APPROVAL"),
        (".env", "PENDING_APPROVAL"),
        (".github/workflows/ci.yml", "PENDING_APPROVAL"),
        (".vscode/tasks.json", "PENDING_APPROVAL"),
        (".mcp.json", "PENDING_APPROVAL"),
    ],
)
async def test_f9_protected_paths(hands: Any, path: str, code: str) -> None:
    changing = [
        call for call in calls(path) if call[0] in ("fs_apply_patch", "fs_move", "fs_delete", "git_restore")
    ]
    rename = f"diff --git a/calc.py b/{path}\nsimilarity index 100%\nrename from calc.py\nrename to {path}\n"
    for tool, arguments in [*changing, ("fs_apply_patch", {"patch": rename})]:
        outcome = await hands.call(tool, **arguments)
        assert outcome.code == code, (tool, outcome.text)


async def test_f10_a_bad_part_refuses_the_whole_patch(hands: Any) -> None:
    good = "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n"
    before = await hands.shell("cat calc.py; ls -A")
    for bad, code in (
        ("--- a/../../x\n+++ b/../../x\n@@ -1 +1 @@\n-a\n+b\n", "PATH_OUTSIDE"),
        ("diff --git a/calc.py b/calc.py\nrename from tests/test_calc.py\nrename to ../y\n", "PATH_OUTSIDE"),
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n",
            "INVALID_ARGUMENT",
        ),
        ("diff --git a/m b/m\nnew file mode 160000\n", "INVALID_ARGUMENT"),
        (
            "diff --git a/b b/b\nindex 1..2 100644\nGIT binary patch\nliteral 99999999\nzcmV\n",
            "INVALID_ARGUMENT",
        ),
        ("--- a/missing\n+++ b/missing\n@@ -1 +1 @@\n-a\n+b\n", "CONFLICT"),
        ("--- /dev/null\n+++ b/tests/test_calc.py\n@@ -0,0 +1 @@\n+b\n", "CONFLICT"),
        ("--- a/tests\n+++ b/tests\n@@ -1 +1 @@\n-a\n+b\n", "CONFLICT"),
    ):
        for whole in (good + bad, f"{bad}\n{good}"):
            outcome = await hands.call("fs_apply_patch", patch=whole)
            assert outcome.code == code, outcome.text
            assert await hands.shell("cat calc.py; ls -A") == before
    assert (await hands.call("fs_apply_patch", patch="+" * 1_048_577)).code == "INVALID_ARGUMENT"
    many = "".join(f"--- /dev/null\n+++ b/f{number}\n@@ -0,0 +1 @@\n+b\n" for number in range(201))
    assert (await hands.call("fs_apply_patch", patch=many)).code == "TOO_LARGE"
    assert await hands.shell("cat calc.py; ls -A") == before


async def test_f11_slow_patterns_do_not_hold_the_server(hands: Any) -> None:
    await hands.shell(
        "mkdir f11; head -c 100 /dev/zero | tr '\\0' a > f11/a; cd f11; touch $(head -c 200 /dev/zero | tr '\\0' a)"
    )
    with anyio.fail_after(40):
        async with anyio.create_task_group() as group:
            slow: list[Any] = []

            async def search() -> None:
                slow.append(await hands.call("fs_search", pattern="(a+)+$b", regex=True, globs=["f11/**"]))

            group.start_soon(search)
            assert (await hands.call("fs_glob", pattern="f11/" + "*a" * 100 + "b")).data["entries"] == []
            assert not slow
    assert slow[0].code == "TIMEOUT"
    await hands.shell("rm -rf f11")


async def test_a7_snapshots_of_another_workspace_are_not_found(hands: Any) -> None:
    taken = await hands.call("fs_snapshot", label="before")
    assert taken.ok, taken.text
    assert (await hands.call("fs_restore", snapshot_id="0" * 32)).code == "NOT_FOUND"
    for bad in ("../" * 8 + "x" * 8, "", taken.data["snapshot_id"].upper() + "/"):
        assert (await hands.call("fs_restore", snapshot_id=bad)).code == "INVALID_ARGUMENT"
    # Every workspace has a store of its own, so an id means nothing elsewhere: tests/sandbox/test_snapshots.py.


async def test_patch_move_delete_and_snapshots_end_to_end(hands: Any) -> None:
    before = await hands.shell("find . -name .git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum")
    taken = await hands.call("fs_snapshot", label="start")
    text = (
        "*** Begin Patch\n*** Update File: calc.py\n@@ def add(a, b):\n-    return a - b\n+    return a + b\n"
        "*** Add File: docs/new.md\n+hello\n*** Update File: tests/test_calc.py\n*** Move to: tests/test_all.py\n"
        " from calc import add\n+import calc\n*** End Patch\n"
    )
    dry = await hands.call("fs_apply_patch", patch=text, dry_run=True)
    assert (dry.data["applied"], dry.data["rejected"]) == (False, [])
    assert await hands.shell("cat calc.py | tail -1") == "    return a - b\n"
    done = await hands.call("fs_apply_patch", patch=text)
    assert done.data["files"] == [
        {"path": "calc.py", "status": "modified", "hunks": 1},
        {"path": "docs/new.md", "status": "added", "hunks": 1},
        {"path": "tests/test_all.py", "status": "renamed", "hunks": 1},
    ]
    assert await hands.shell("cat docs/new.md; tail -1 calc.py; ls tests; head -2 tests/test_all.py") == (
        "hello\n    return a + b\ntest_all.py\nfrom calc import add\nimport calc\n"
    )
    again = await hands.call("fs_apply_patch", patch=text, dry_run=True)
    assert {each["path"] for each in again.data["rejected"]} == {
        "calc.py",
        "docs/new.md",
        "tests/test_calc.py",
    }
    assert (await hands.call("fs_move", source="docs", target="a/b/docs")).ok
    assert (await hands.call("fs_move", source="calc.py", target="a/b/docs/new.md")).code == "CONFLICT"
    assert (await hands.call("fs_delete", path="a")).code == "CONFLICT"
    assert (await hands.call("fs_delete", path="a", recursive=True)).ok
    back = await hands.call("fs_restore", snapshot_id=taken.data["snapshot_id"])
    assert back.ok, back.text
    assert (
        await hands.shell("find . -name .git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum")
        == before
    )
    assert (await hands.call("fs_restore", snapshot_id=back.data["undo_id"])).ok
    assert (
        await hands.shell("tail -1 calc.py; git checkout -q . 2>/dev/null; ls tests")
        == "    return a + b\ntest_all.py\n"
    )
    assert (await hands.call("fs_restore", snapshot_id=taken.data["snapshot_id"])).ok


async def test_cursors_go_on_and_belong_to_their_call(hands: Any) -> None:
    await hands.shell("mkdir -p pages; for i in 1 2 3 4 5; do echo needle > pages/$i.txt; done")
    seen: list[str] = []
    cursor = None
    while True:
        part = await hands.call(
            "fs_search", pattern="NEEDLE", case=False, globs=["pages/*"], max_results=2, cursor=cursor
        )
        seen += [match["path"] for match in part.data["matches"]]
        cursor = part.data["next_cursor"]
        if cursor is None:
            break
        assert part.data["truncated"]
        kept = cursor
    assert seen == [f"pages/{number}.txt" for number in range(1, 6)]
    for arguments in (
        {"pattern": "other"},
        {"pattern": "NEEDLE", "case": True},
        {"pattern": "NEEDLE", "cursor": kept[:-2] + "AA"},
    ):
        outcome = await hands.call(
            "fs_search",
            **{"case": False, "globs": ["pages/*"], "max_results": 2, "cursor": kept, **arguments},
        )
        assert outcome.code == "INVALID_ARGUMENT"
    assert (await hands.call("fs_tree", cursor=kept)).code == "INVALID_ARGUMENT"
    await hands.shell("rm -rf pages")
