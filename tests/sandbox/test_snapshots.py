"""Snapshots of a whole workspace: byte for byte, undoable, and nothing read twice."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.sandbox.conftest import Opened

from hypercode.domain.errors import NotFound
from hypercode.sandbox.base import ExecRequest, Profile, StartSandbox
from hypercode.sandbox.containers import sandbox_name
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.worktrees import RestoreSnapshot, SnapshotTaken, TakeSnapshot

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

Inside = Callable[[str], Awaitable[str]]

# Everything that a snapshot keeps: names, kinds, modes, times, link texts, contents.
FINGERPRINT = "find . -mindepth 1 -printf '%P|%y|%m|%T@|%l\\n' | sort; find . -type f -perm -400 | sort | tr '\\n' '\\0' | xargs -0 sha256sum"
MADE = r"""
mkdir -p empty/dir nested/repo locked ignored; (cd nested/repo && mkdir -p .git/objects && echo x > .git/config && echo y > file)
echo secret > debug.log; printf 'a\0b' > binary; ln -s calc.py link; ln -s /etc/passwd away; mkfifo pipe
printf odd > "$(printf 'n\303\251\377')"; chmod 755 binary; echo z > locked/in; echo z > shut; chmod 000 locked shut
head -c 3000000 /dev/urandom > large; touch -d '2001-02-03 04:05:06.789' calc.py; chmod 700 empty
"""
WRECK = r"""
chmod 700 locked; rm -rf locked nested empty binary link calc.py; mkdir link calc.py; echo new > calc.py/x; echo more >> large
ln -s /tmp tests.new; mv tests gone; ln -s /tmp tests; chmod 600 shut; echo w > shut; chmod 777 debug.log; echo k > new; mkdir -p nested/repo/file
"""


@pytest.fixture
async def workspace(sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path) -> str:
    return (await open_workspace(repository)).workspace_id


@pytest.fixture
async def inside(sandboxes: DockerSandboxes, workspace: str) -> Inside:
    """Runs a script as the agent does; returns what it prints."""
    started = await sandboxes.start(StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=workspace))

    async def run(script: str) -> str:
        done = await sandboxes.exec(started.sandbox_id, ExecRequest(argv=["bash", "-c", script]))
        assert done.exit_code == 0, done.stderr
        return done.stdout

    return run


async def test_a_restore_is_byte_identical_and_can_be_undone(
    sandboxes: DockerSandboxes, workspace: str, inside: Inside
) -> None:
    await inside(MADE)
    first = await inside(FINGERPRINT)
    taken = await sandboxes.snapshot_take(TakeSnapshot(workspace_id=workspace))
    assert await inside(FINGERPRINT) == first
    await inside(WRECK)
    wrecked = await inside(FINGERPRINT)
    assert wrecked != first
    request = RestoreSnapshot(workspace_id=workspace, snapshot_id=taken.snapshot_id)
    back = await sandboxes.snapshot_restore(request)
    assert await inside(FINGERPRINT) == first
    assert await inside("chmod 600 shut; cat shut; chmod 000 shut; ls /tmp") == "z\n"
    assert (await sandboxes.snapshot_restore(request)).changed <= 1
    undo = RestoreSnapshot(workspace_id=workspace, snapshot_id=back.undo_id)
    await sandboxes.snapshot_restore(undo)
    assert await inside(FINGERPRINT) == wrecked


async def test_what_has_not_changed_is_not_read_again(
    sandboxes: DockerSandboxes, workspace: str, inside: Inside
) -> None:
    async def read() -> int:
        return (await sandboxes.snapshot_take(TakeSnapshot(workspace_id=workspace))).read

    assert await read() > 0
    # What was written within one tick of the clock is looked at twice: settle first.
    await inside(
        "touch -d '2001-01-01' $(git ls-files); while [ $(date +%s%N | cut -c1-11) = $(stat -c %.1Z calc.py | tr -d .) ]; do :; done"
    )
    await read()
    assert await read() == 0
    await inside("printf x | dd of=calc.py conv=notrunc 2>/dev/null; touch -d '2001-01-01' calc.py")
    assert await read() == 1


async def test_ids_are_of_one_workspace(
    sandboxes: DockerSandboxes, open_workspace: Opened, workspace: str, repository: Path
) -> None:
    taken = await sandboxes.snapshot_take(TakeSnapshot(workspace_id=workspace))
    other = (await open_workspace(repository)).workspace_id
    for owner, snapshot_id in ((other, taken.snapshot_id), (workspace, "0" * 32)):
        with pytest.raises(NotFound):
            await sandboxes.snapshot_restore(RestoreSnapshot(workspace_id=owner, snapshot_id=snapshot_id))


async def test_a_key_takes_one_snapshot_and_nothing_new_none(
    sandboxes: DockerSandboxes, workspace: str, inside: Inside
) -> None:
    async def take(**more: str) -> SnapshotTaken:
        return await sandboxes.snapshot_take(TakeSnapshot(workspace_id=workspace, **more))

    first = await take(key="1.0")
    await inside("echo more >> calc.py")
    assert await take(key="1.0") == first.model_copy(update={"read": 0, "stored": 0})
    second = await take(key="1.1")
    assert second.tree != first.tree
    assert (await take(key="1.2")).snapshot_id == second.snapshot_id
    await sandboxes.stop(sandbox_name(Profile.HELPER, "", workspace))
    third = await take(key="1.2")
    assert third.snapshot_id == second.snapshot_id, "a helper that starts anew knows what the last one knew"


async def test_a_fork_starts_where_its_origin_was_which_is_closed(
    sandboxes: DockerSandboxes, open_workspace: Opened, workspace: str, inside: Inside, repository: Path
) -> None:
    await inside(MADE)
    first = await inside(FINGERPRINT)
    taken = await sandboxes.snapshot_take(TakeSnapshot(workspace_id=workspace, key="1.0"))
    await inside(WRECK)
    base = await open_workspace(repository)  # the base that the platform knows of the origin's run
    await sandboxes.close_workspace(workspace)
    (repository / "calc.py").write_text("the source has gone on\n")
    fork = await open_workspace(
        repository, commit=base.base_commit, from_workspace=workspace, from_snapshot=taken.snapshot_id
    )
    assert fork.base_commit == base.base_commit
    started = await sandboxes.start(
        StartSandbox(profile=Profile.AGENT, owner="fork", workspace_id=fork.workspace_id)
    )
    request = ExecRequest(argv=["bash", "-c", FINGERPRINT])
    assert (await sandboxes.exec(started.sandbox_id, request)).stdout == first
    opened = ExecRequest(argv=["chmod", "700", "locked", "shut"])
    assert (await sandboxes.exec(started.sandbox_id, opened)).exit_code == 0
    exported = await sandboxes.export_diff(fork.workspace_id, "fork")
    assert "binary" in exported.files
    assert "calc.py" not in exported.files
