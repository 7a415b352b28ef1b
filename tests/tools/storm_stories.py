"""What the callers do in the storm: short stories, each of which calls tools of one kind and counts on their effects.

A story ends where a person would have to look, that is at the first call whose outcome nobody knows.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from storm import Caller, Said, token

Story = Callable[[Caller], Awaitable[None]]

MARKS = "/tmp/marks"
END_SHA256 = hashlib.sha256(b"END\n").hexdigest()
READS: dict[str, dict[str, Any]] = {
    "fs_read": {"path": "calc.py"},
    "fs_search": {"pattern": "add"},
    "fs_tree": {},
    "fs_glob": {"pattern": "tests/*.py"},
    "fs_stat": {"paths": ["calc.py"]},
    "code_symbols": {"path": "calc.py"},
    "git_status": {},
    "git_diff": {"paths": ["calc.py"]},
    "git_log": {"limit": 5},
    "git_show": {"stat_only": True},
    "git_blame": {"path": "calc.py"},
    "test_discover": {},
    "sh_list": {},
    "resource_list": {},
    "container_list": {},
    "deploy_status": {},
    "ctx_search": {"query": "note"},
    "ctx_brief": {},
    "secret_list": {},
}
CHECKS: dict[str, dict[str, Any]] = {
    "test_run": {"framework": "unittest"},
    "lint_run": {},
    "type_check": {},
}


async def files(do: Caller) -> None:
    """fs_write, fs_edit, fs_apply_patch, fs_move, fs_delete, each on a file of its own."""
    made = do.key()
    script = (
        f"cd effects && for f in w e p m d; do echo END > $f-{made}; done && echo '{token(made)}' >> {MARKS}"
    )
    if not (await do.write("sh_exec", made, script=script)).ok:
        return
    await do.call("fs_read", path=f"effects/w-{made}")
    key = do.key()
    await do.write("fs_write", key, path=f"effects/w-{made}", content=f"{token(key)}\n", if_sha256=END_SHA256)
    key = do.key()
    await do.write(
        "fs_edit", key, path=f"effects/e-{made}", edits=[{"old": "END", "new": f"{token(key)}\nEND"}]
    )
    key, path = do.key(), f"effects/p-{made}"
    patch = f"--- a/{path}\n+++ b/{path}\n@@ -1,1 +1,2 @@\n END\n+{token(key)}\n"
    await do.write("fs_apply_patch", key, patch=patch)
    key = do.key()
    await do.write("fs_move", key, source=f"effects/m-{made}", target=f"effects/{token(key)}")
    await do.write("fs_delete", path=f"effects/d-{made}")


async def shell(do: Caller) -> None:
    """sh_exec, quick and slow."""
    quick, slow = do.key(), do.key()
    await do.write("sh_exec", quick, script=f"echo '{token(quick)}' >> {MARKS}")
    script = (
        f"sleep 0.{do.storm.dice.randint(0, 4)}; echo '{token(slow)}' >> {MARKS}; sleep 0.1 & sleep 0.1; wait"
    )
    await do.write("sh_exec", slow, script=script)


async def processes(do: Caller) -> None:
    """sh_start, sh_write, sh_read, sh_kill, sh_list; a start that nobody knows of is looked for and ended."""
    key = do.key()
    started = await do.write(
        "sh_start", key, script=f"echo '{token(key)}' >> {MARKS}; exec cat >> /tmp/marks-{key}"
    )
    if not started.ok:
        await _end_all(do, key)
        return
    ref = {"proc_id": started.outcome.data["proc_id"]}
    written = do.key()
    await do.write("sh_write", written, data=f"{token(written)}\n", end=True, **ref)
    await do.call("sh_read", wait_ms=200, **ref)
    await do.call("sh_kill", **ref)
    await _end_all(do, key, most=0)


async def _end_all(do: Caller, key: str, most: int = 1) -> None:
    """End what runs of a start; there is one at most."""
    listed = (await do.call("sh_list")).outcome.data["processes"]
    found = [each for each in listed if each["running"] and token(key) in each["command"]]
    if len(found) > most:
        do.storm.odd.append(f"{len(found)} processes of {key}")
    for each in found:
        await do.call("sh_kill", proc_id=each["proc_id"], signal="KILL")


async def reads(do: Caller) -> None:
    """What has no effect: it always comes to a result, however often the platform was killed meanwhile."""
    for tool in do.storm.dice.sample(sorted(READS), 6):
        said = await do.call(tool, **READS[tool])
        if tool == "resource_list" and said.ok and said.outcome.data["resources"]:
            # What it lists is forgotten when newer output comes.
            await do.call(
                "resource_read", expect=("NOT_FOUND",), uri=said.outcome.data["resources"][0]["uri"]
            )


async def checks(do: Caller) -> None:
    """test_run, lint_run, type_check, repair_failing_test: they may be run again."""
    tool = do.storm.dice.choice(sorted(CHECKS))
    await do.call(tool, expect=("NOT_FOUND", "INVALID_ARGUMENT", "UNSUPPORTED"), **CHECKS[tool])
    if do.storm.dice.random() < 0.2:
        await do.call("repair_failing_test", budget_s=1.0, max_patches=1)


async def commits(do: Caller) -> None:
    """git_add, git_commit, git_branch, git_restore."""
    key = do.key()
    path = f"effects/g-{key}"
    wrote = await do.write("fs_write", key, path=path, content=f"{token(key)}\n", if_sha256="")
    added = wrote.ok and (await do.write("git_add", paths=[path])).ok
    commit = do.key()
    if not added or not (await do.write("git_commit", commit, message=token(commit), paths=[path])).ok:
        return
    await do.write("git_branch", action="create", name=f"b-{commit}")
    changed = await do.write("fs_edit", path=path, edits=[{"old": "k:", "new": "changed k:"}])
    if changed.ok and (await do.write("git_restore", paths=[path])).ok:
        content = (await do.call("fs_read", path=path)).outcome.data["content"]
        if content != f"{token(key)}\n":
            do.storm.odd.append(f"git_restore left {content!r}")


async def trees(do: Caller) -> None:
    """fs_snapshot and fs_restore of a whole work tree, in a run of their own."""
    value = do.key()
    script = "for n in 0 1 2 3 4 5 6 7 8 9; do echo {} > tree/f$n; done"
    if not (await do.write("sh_exec", script=script.format(value))).ok:
        return
    taken = await do.call("fs_snapshot", label=value)
    if not (await do.write("sh_exec", script=script.format("other"))).ok:
        return
    back = await _approved(do, "fs_restore", snapshot_id=taken.outcome.data["snapshot_id"])
    if not back.ok:
        return
    seen = await do.write("sh_exec", script="cat tree/f* | sort -u")
    if seen.ok and seen.outcome.data["stdout"].split() != [value]:
        do.storm.odd.append(f"fs_restore {back.key} left {seen.outcome.data['stdout']!r}")


async def _approved(do: Caller, tool: str, /, **arguments: Any) -> Said:
    """A call that may need a person's word: it is asked, approved, and passes under a new key."""
    said = await do.write(tool, expect=("PENDING_APPROVAL",), **arguments)
    if said.code != "PENDING_APPROVAL":
        return said
    await do.storm.person.approve(do.run, said.outcome.data["approval_id"])
    return await do.write(tool, **arguments)


async def secrets(do: Caller) -> None:
    """A command with a secret: a person is asked, their word is used once, and the value leaves no call."""
    mark = do.key()
    script = f"echo '{token(mark)}' >> {MARKS}; printf 'have %s' \"$CANARY\""
    call: dict[str, Any] = {"script": script, "secrets": ["CANARY"]}
    asked = await do.call("sh_exec", expect=("PENDING_APPROVAL",), **call)
    if asked.ok:
        do.storm.odd.append(f"sh_exec {asked.key} passed without being approved")
        return
    await do.storm.person.approve(do.run, asked.outcome.data["approval_id"])
    used = await do.write("sh_exec", **call)
    if used.ok:
        do.storm.must.add(mark)
        if "have [secret CANARY]" not in used.outcome.text:
            do.storm.odd.append(f"sh_exec {used.key} said {used.outcome.text[:200]!r}")
    # The word was for once: under any other key the same call waits again.
    again = await do.call("sh_exec", expect=("PENDING_APPROVAL",), **call)
    if again.ok:
        do.storm.odd.append(f"sh_exec {again.key} passed by an approval that was used")


async def protected(do: Caller) -> None:
    """A write to a protected path passes once a person has approved it."""
    key = do.key()
    call: dict[str, Any] = {
        "path": f".github/workflows/{key}.yml",
        "content": f"{token(key)}\n",
        "if_sha256": "",
        "create_dirs": True,
    }
    asked = await do.call("fs_write", key, expect=("PENDING_APPROVAL",), **call)
    if asked.ok:
        do.storm.odd.append(f"fs_write {key} passed without being approved")
        return
    await do.storm.person.approve(do.run, asked.outcome.data["approval_id"])
    if (await do.write("fs_write", **call)).ok:
        do.storm.must.add(key)


async def questions(do: Caller) -> None:
    """ask_user: the question is asked once, and its answer is the result."""
    key = do.key()
    asked = await do.call("ask_user", key, expect=("PENDING_ANSWER",), question=token(key))
    await do.storm.person.answer(do.run, asked.outcome.data["question_id"], f"answer to {key}")
    told = await do.call("ask_user", question=token(key))
    if told.outcome.data.get("answer") != f"answer to {key}":
        do.storm.odd.append(f"ask_user {told.key} said {told.outcome.text[:200]!r}")


async def notes(do: Caller) -> None:
    """ctx_*: rows, kept once however often the call is made."""
    key = do.key()
    kept = await do.call("ctx_note_add", key, kind="note", text=token(key))
    await do.call("ctx_get", id=kept.outcome.data["id"])
    key = do.key()
    await do.call("ctx_decision_record", key, title="t", context="c", decision=token(key))
    key = do.key()
    await do.call("ctx_handoff", key, summary=token(key))


async def plans(do: Caller) -> None:
    """plan_submit, task_delegate and the report of the run that it makes."""
    plan, goal = do.key(), do.key()
    item = {"id": f"i-{goal}", "title": token(plan), "goal": token(goal)}
    if not (await do.write("plan_submit", plan, summary="s", items=[item])).ok:
        return
    await do.call("plan_status")
    handed = await do.write("task_delegate", goal, item_id=item["id"])
    if handed.ok:
        async with do.storm.person.child(do, handed.outcome.data["run_id"]) as child:
            report = child.key()
            await child.call("result_report", report, summary=token(report))
            await notes(child)


async def containers(do: Caller) -> None:
    """container_*: a start that nobody knows of is looked for and removed."""
    key = do.key()
    name = f"K_{key.replace('-', '_')}"
    started = await do.write(
        "container_run", key, image="environment", command=["sleep", "600"], env={name: "1"}
    )
    listed = (await do.call("container_list")).outcome.data["containers"]
    found = [each["container_id"] for each in listed if name in each["env_names"]]
    if len(found) > 1 or (started.ok and len(found) != 1):
        do.storm.odd.append(f"{len(found)} containers of {key}, which came to {started.code}")
    for each in found:
        await _use_container(do, each, started=started.ok)


async def _use_container(do: Caller, container_id: str, *, started: bool) -> None:
    ref = {"container_id": container_id}
    mark = do.key()
    # One whose start was cut off may not run yet, and sandboxd removes it when its caller is gone.
    expect = () if started else ("SANDBOX_DOWN", "NOT_FOUND")
    done = await do.write(
        "container_exec", mark, argv=["sh", "-c", f"echo '{token(mark)}' >> /tmp/m"], expect=expect, **ref
    )
    seen = await do.write(
        "container_exec", argv=["sh", "-c", f"grep -cF '{token(mark)}' /tmp/m || true"], expect=expect, **ref
    )
    times = seen.outcome.data["stdout"].strip() if seen.ok else ""
    if seen.ok and (times not in ("", "0", "1") or (done.ok and times != "1")):
        do.storm.odd.append(f"container_exec {mark} left {times!r}, which came to {done.code}")
    await do.call("container_logs", expect=expect, **ref)
    await do.call("container_inspect", expect=expect, **ref)
    await do.write("container_stop", expect=expect, **ref)
    while (await do.write("container_rm", expect=("NOT_FOUND",), **ref)).code == "UNCERTAIN":
        pass


SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000, bind='127.0.0.1')"


async def deployments(do: Caller) -> None:
    """deploy, approved by a person; deploy_status and deploy_stop."""
    key = do.key()
    env = {f"K_{key.replace('-', '_')}": "1"}
    app = {"image": "environment", "port": 8000, "command": ["python3", "-c", SERVER], "env": env}
    await _approved(do, "deploy", health={"path": "/", "interval_s": 0.1}, **app)
    for each in (await do.call("deploy_status")).outcome.data["deployments"]:
        if each["running"]:
            await do.write("deploy_stop", deployment_id=each["deployment_id"])


async def builds(do: Caller) -> None:
    """container_build: the same files give the same image."""
    await do.write("container_build", context="site")
