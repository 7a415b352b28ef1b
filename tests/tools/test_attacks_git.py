"""Rows G1-G4 of the attack table for every git tool, against a repository that tries, and what the tools are for."""

from typing import Any

import pytest

from hypercode.sandbox.base import ExecRequest, Profile, StartSandbox

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

REVISIONS = [
    "--output=/workspace/pwned",
    "-O/tmp/x",
    "--ext-diff",
    "--upload-pack=touch /workspace/pwned",
    "HEAD --output=x",
    "a..b",
    "HEAD:calc.py",
    "@{u}",
    "",
    "-c",
    "ext::sh -c 'touch /workspace/pwned'",
    "file:///etc",
    "https://user:secret@example.org/x",
    ":(glob)**",
    "HEAD\nx",
]
BRANCHES = [
    "-f",
    "--force",
    "a..b",
    "a b",
    "refs/heads/x",
    "HEAD",
    "a.lock",
    "a/",
    ".a",
    "x/.git",
    "~",
    "a:b",
    "@{-1}",
    "",
    "f" * 40,
]
PATHS = ["--output=pwned", ":(glob)**", ":!x", "-c", "--upload-pack=x", ":(attr:x)y"]

# Everything by which a repository makes a git run a program, in the work tree, in a nested repository, and where the
# agent's own git would look.
HOSTILE = r"""
cat > evil.sh <<'END'
#!/bin/sh
touch /workspace/marker /gitdir/marker /tmp/marker
cat
END
chmod +x evil.sh
printf '* filter=x diff=x merge=x\n*.md text eol=crlf working-tree-encoding=UTF-16\n' > .gitattributes
printf '[submodule "s"]\n\tpath = nested\n\turl = ext::sh -c touch% /workspace/marker\n\tupdate = !touch /workspace/marker\n' > .gitmodules
mkdir -p nested && cd nested && git init -q . && echo x > x
git config core.fsmonitor /workspace/evil.sh; git config core.hooksPath /workspace/hooks; git config core.pager /workspace/evil.sh
git config filter.x.clean /workspace/evil.sh; git config filter.x.smudge /workspace/evil.sh; git config filter.x.process /workspace/evil.sh
git config diff.x.textconv /workspace/evil.sh; git config diff.x.command /workspace/evil.sh; git config gpg.program /workspace/evil.sh
git config diff.external /workspace/evil.sh; git config commit.gpgSign true; git config core.sshCommand /workspace/evil.sh
git config alias.log '!/workspace/evil.sh'; git -c core.fsmonitor=false -c commit.gpgSign=false -c user.name=a -c user.email=a@b commit -q --allow-empty --no-verify -m n 2>/dev/null
cd ..; cp nested/.git/config "$HOME/.gitconfig"; cp nested/.git/config .gitconfig; mkdir -p hooks
for hook in pre-commit post-commit post-checkout post-index-change commit-msg reference-transaction fsmonitor-watchman; do cp evil.sh hooks/$hook; done
rm -f marker /tmp/marker
echo '# more' >> calc.py
"""


@pytest.mark.parametrize("revision", REVISIONS)
async def test_g1_revisions(hands: Any, revision: str) -> None:
    for tool, arguments in (
        ("git_log", {"revision": revision}),
        ("git_show", {"revision": revision}),
        ("git_blame", {"path": "calc.py", "revision": revision}),
        ("git_restore", {"paths": ["calc.py"], "source": revision}),
        ("git_diff", {"base": revision}),
    ):
        outcome = await hands.call(tool, **arguments)
        assert outcome.code == "INVALID_ARGUMENT", (tool, outcome.text)
        assert "secret" not in outcome.text


@pytest.mark.parametrize("name", BRANCHES)
async def test_g1_branch_names(hands: Any, name: str) -> None:
    for action in ("create", "switch"):
        assert (await hands.call("git_branch", action=action, name=name)).code == "INVALID_ARGUMENT"


async def test_g1_g2_paths_are_literal(hands: Any) -> None:
    head = (await hands.call("git_status")).data["head"]
    for path in PATHS:
        assert (await hands.call("git_add", paths=[path])).code == "NOT_FOUND"
        assert (await hands.call("git_commit", message="x", paths=[path])).code == "NOT_FOUND"
        assert (await hands.call("git_restore", paths=[path])).code == "NOT_FOUND"
        assert (await hands.call("git_log", paths=[path])).data["commits"] == []
        assert (await hands.call("git_show", paths=[path])).data["diff"] == ""
        assert (await hands.call("git_show", file=path)).code == "NOT_FOUND"
        assert (await hands.call("git_blame", path=path)).code == "INVALID_ARGUMENT"
    for tool in ("git_add", "git_restore"):
        assert (await hands.call(tool, paths=["../x"])).code == "PATH_OUTSIDE"
        assert (await hands.call(tool, paths=[])).code == "INVALID_ARGUMENT"
    for extra in ({"author": "x"}, {"all": False, "paths": ["calc.py"]}, {"message": ""}):
        assert (await hands.call("git_commit", **{"message": "x", **extra})).code == "INVALID_ARGUMENT"
    assert (await hands.call("git_status")).data["head"] == head
    assert await hands.shell("ls pwned /workspace/pwned 2>/dev/null | wc -l") == "0\n"


async def test_g4_there_is_no_way_to_a_remote(hands: Any) -> None:
    names = {spec.name for spec in await hands.tools.list_tools()}
    git_tools = {name for name in names if name.startswith("git_")}
    assert git_tools == {
        "git_status", "git_diff", "git_log", "git_show", "git_blame", "git_add", "git_commit", "git_branch", "git_restore",
    }  # fmt: skip
    assert (await hands.call("git_push")).code == "NOT_FOUND"


async def test_the_tools_do_what_they_are_for(hands: Any) -> None:
    base = (await hands.call("git_status")).data
    assert base["branch"] == "main"
    await hands.shell("echo one > a.txt; echo two > b.txt; echo three > c.txt; echo '# x' >> calc.py")
    assert (await hands.call("git_add", paths=["a.txt"])).data["staged"] == ["a.txt"]
    staged = await hands.call("git_commit", message="only a", all=False)
    assert staged.data["files"] == 1
    await hands.call("git_add", paths=["c.txt"])
    assert (await hands.call("git_commit", message="only b", paths=["b.txt"])).data["files"] == 1
    status = {each["path"]: each["status"] for each in (await hands.call("git_status")).data["changes"]}
    assert status == {"c.txt": "added", "calc.py": "modified"}
    assert (await hands.call("git_commit", message="the rest\n\nwith a body")).data["files"] == 2
    assert (await hands.call("git_commit", message="nothing")).code == "CONFLICT"

    log = await hands.call("git_log", limit=2)
    assert [each["subject"] for each in log.data["commits"]] == ["the rest", "only b"]
    more = await hands.call("git_log", limit=2, cursor=log.data["next_cursor"])
    assert more.data["commits"][0]["subject"] == "only a"
    of_a = await hands.call("git_log", paths=["a.txt"])
    assert [each["subject"] for each in of_a.data["commits"]] == ["only a"]

    shown = await hands.call("git_show")
    assert shown.data["message"].strip() == "the rest\n\nwith a body"
    assert "+# x" in shown.data["diff"]
    assert (await hands.call("git_show", revision=base["base"])).ok
    then = await hands.call("git_show", revision=base["head"], file="calc.py")
    assert then.data["content"] == "def add(a, b):\n    return a - b\n"
    blame = (await hands.call("git_blame", path="calc.py", start_line=2)).data["lines"]
    assert [(each["line"], each["commit"]) for each in blame] == [
        (2, base["base"]),
        (3, shown.data["commit"]["commit"]),
    ]
    await hands.shell("echo dirty >> calc.py")
    assert (await hands.call("git_blame", path="calc.py", start_line=4)).data["lines"][0]["commit"] is None

    restored = await hands.call("git_restore", paths=["calc.py"])
    assert restored.data["paths"] == ["calc.py"]
    older = await hands.call("git_restore", paths=["."], source=base["head"])
    assert sorted(older.data["paths"]) == ["a.txt", "b.txt", "c.txt", "calc.py"]
    assert (
        await hands.shell("cat calc.py; ls *.txt 2>/dev/null | wc -l")
        == "def add(a, b):\n    return a - b\n0\n"
    )
    assert (await hands.call("git_restore", paths=["."])).ok
    assert (await hands.call("git_status")).data["clean"] is True


async def test_branches(hands: Any) -> None:
    assert (await hands.call("git_branch", action="create", name="topic/one")).ok
    assert (await hands.call("git_branch", action="create", name="topic/one")).code == "CONFLICT"
    assert (await hands.call("git_branch", action="switch", name="nowhere")).code == "NOT_FOUND"
    assert (await hands.call("git_branch", action="switch", name="topic/one")).data["changed"] == []
    await hands.shell(
        "mkdir -p sub; echo t > sub/topic.txt; chmod 755 sub/topic.txt; echo '# topic' >> calc.py; echo k > kept"
    )
    assert (await hands.call("git_commit", message="topic", paths=["sub", "calc.py"])).data["files"] == 2
    back = await hands.call("git_branch", action="switch", name="main")
    assert (back.data["current"], back.data["changed"]) == ("main", ["calc.py", "sub/topic.txt"])
    assert (
        await hands.shell("cat kept; grep -c topic calc.py || true; ls sub 2>/dev/null | wc -l")
        == "k\n0\n0\n"
    )
    # What is not committed is not overwritten, tracked or not.
    await hands.shell("mkdir -p sub; echo mine > sub/topic.txt")
    assert (await hands.call("git_branch", action="switch", name="topic/one")).code == "CONFLICT"
    assert await hands.shell("cat sub/topic.txt; grep -c topic calc.py || true") == "mine\n0\n"
    await hands.shell("rm sub/topic.txt; echo mine >> calc.py")
    assert (await hands.call("git_branch", action="switch", name="topic/one")).code == "CONFLICT"
    assert (await hands.call("git_restore", paths=["calc.py"])).ok
    assert (await hands.call("git_branch", action="switch", name="topic/one")).ok
    assert await hands.shell("cat sub/topic.txt; stat -c %a sub/topic.txt; rm kept") == "t\n755\n"
    assert (await hands.call("git_status")).data["clean"] is True
    # A directory of the branch that is swapped for a link leads nowhere.
    assert (await hands.call("git_branch", action="switch", name="main")).ok
    await hands.shell("rm -rf sub; mkdir -p /tmp/away; ln -s /tmp/away sub")
    assert not (await hands.call("git_branch", action="switch", name="topic/one")).ok
    assert await hands.shell("ls /tmp/away; rm sub; rmdir /tmp/away") == ""
    assert (await hands.call("git_branch", action="list")).data["current"] == "main"


async def test_g3_nothing_that_a_repository_configures_runs(hands: Any) -> None:
    await hands.shell(HOSTILE)
    assert (await hands.call("git_status")).ok
    assert (await hands.call("git_diff")).ok
    assert (await hands.call("git_add", paths=["calc.py", "nested", "evil.sh", ".gitmodules"])).ok
    committed = await hands.call("git_commit", message="--amend\n\nwith odd words", all=False)
    assert committed.ok, committed.text
    assert (await hands.call("git_commit", message="all of it")).ok
    for tool, arguments in (
        ("git_log", {"paths": ["calc.py"]}),
        ("git_show", {}),
        ("git_show", {"file": "calc.py"}),
        ("git_blame", {"path": "calc.py"}),
        ("git_branch", {"action": "create", "name": "evil"}),
        ("git_branch", {"action": "switch", "name": "evil"}),
        ("git_status", {}),
        ("git_diff", {}),
        ("git_restore", {"paths": ["calc.py"], "source": "HEAD~2"}),
        ("git_commit", {"message": "on a branch"}),
        ("git_branch", {"action": "switch", "name": "main"}),
        ("git_restore", {"paths": ["."]}),
        ("git_status", {}),
    ):
        outcome = await hands.call(tool, **arguments)
        assert outcome.ok, (tool, arguments, outcome.text)
    assert await hands.shell("ls marker /gitdir/marker /tmp/marker 2>/dev/null | wc -l") == "0\n"


async def test_a_lock_that_a_killed_git_left_does_not_stand_in_the_way(hands: Any) -> None:
    helper = await hands.sandboxes.start(
        StartSandbox(profile=Profile.HELPER, owner=hands.run.id, workspace_id=hands.run.workspace_id)
    )
    branch = (await hands.call("git_branch", action="list")).data["current"]
    await hands.shell("echo left > left.txt")
    for lock, tool, call in (
        ("index", "git_add", {"paths": ["left.txt"]}),
        (f"refs/heads/{branch}", "git_commit", {"message": "left", "paths": ["left.txt"]}),
        ("refs/heads/left", "git_branch", {"action": "create", "name": "left"}),
    ):
        made = ExecRequest(argv=["touch", f"/gitdir/{lock}.lock"])
        assert (await hands.sandboxes.exec(helper.sandbox_id, made)).exit_code == 0
        done = await hands.call(tool, **call)
        assert done.ok, done.text
    assert (await hands.call("git_log", limit=1)).data["commits"][0]["subject"] == "left"
