"""The verbs on a real engine: what a hostile command or file can't do, and what a person's work survives."""

import base64
import hashlib
import os
from pathlib import Path

import anyio
import pytest
from tests.sandbox.conftest import Opened, Shell, git

from hypercode.domain.errors import (
    Conflict,
    EnvironmentFailed,
    HyperCodeError,
    InvalidArgument,
    PathOutside,
    PolicyDenied,
    SandboxDown,
    TooLarge,
)
from hypercode.sandbox.base import (
    BuildEnvironment,
    CheckRequest,
    ExecRequest,
    Profile,
    StartSandbox,
    WriteRequest,
)
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.settings import SandboxSettings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


def writing(path: str, text: str, **more: object) -> WriteRequest:
    data = base64.b64encode(text.encode()).decode()
    return WriteRequest.model_validate({"path": path, "data_b64": data, **more})


def fingerprint(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path)] = f"{path.stat().st_mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


async def test_hardening_seen_from_inside(shell: Shell) -> None:
    status = (await shell("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")).stdout
    assert all(line.split()[1] == "0" * 16 for line in status.splitlines() if line.startswith("Cap"))
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    seen = await shell(
        "id -u; ls /sys/class/net; touch /x /usr/x /opt/rt/x /gitdir/x; ls /var/run/docker.sock"
    )
    assert seen.stdout.split() == ["10001", "lo"]
    assert seen.stderr.count("Read-only file system") == 4
    assert "docker.sock" in seen.stderr
    for refused in ("unshare -r true", "mount -t tmpfs x /mnt", "mknod /tmp/d b 8 0", "chroot / true"):
        assert (await shell(refused)).exit_code != 0, refused
    vsock = "import socket; socket.socket(40, socket.SOCK_STREAM)"
    assert (await shell(f'python3 -c "{vsock}"')).exit_code == 1


async def test_paths_can_not_leave_the_workspace(
    sandboxes: DockerSandboxes, agent: str, shell: Shell
) -> None:
    await shell(
        "ln -s /etc e; ln -s e/passwd chain; ln -s /proc/self/root root; mkfifo pipe; ln calc.py hard"
    )
    for path in (
        "../etc/passwd",
        "/etc/passwd",
        "e/passwd",
        "chain",
        "root/etc/passwd",
        "/proc/self/environ",
    ):
        with pytest.raises(PathOutside):
            await sandboxes.read(agent, path, 0, 10)
        with pytest.raises(HyperCodeError):
            await sandboxes.write(agent, writing(path, "x"))
    with anyio.fail_after(10), pytest.raises(InvalidArgument):
        await sandboxes.read(agent, "pipe", 0, 10)
    for path, error in ((".git", PolicyDenied), (".git/config", PolicyDenied), ("hard", PolicyDenied)):
        with pytest.raises(error):
            await sandboxes.write(agent, writing(path, "x"))
    with pytest.raises(InvalidArgument):
        await sandboxes.read(agent, "a\0b", 0, 10)


async def test_a_guarded_write_sees_a_change(sandboxes: DockerSandboxes, agent: str, shell: Shell) -> None:
    await shell("chmod 755 calc.py")
    before = await sandboxes.read(agent, "calc.py", 0, 1000)
    await sandboxes.write(agent, writing("calc.py", "one", if_sha256=before.sha256))
    with pytest.raises(Conflict):
        await sandboxes.write(agent, writing("calc.py", "two", if_sha256=before.sha256))
    with pytest.raises(Conflict):
        await sandboxes.write(agent, writing("calc.py", "two", if_sha256=""))
    await sandboxes.write(agent, writing("new/deep/file", "x", if_sha256="", create_dirs=True))
    after = await sandboxes.read(agent, "calc.py", 0, 1000)
    assert (base64.b64decode(after.data_b64), after.mode) == (b"one", 0o755)


DAEMONS = "(setsid sleep 4711 &) ; (setsid sh -c 'setsid sleep 4711 &') ; sleep 4711 & sleep 4711"
LEFT = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^4711$'"


async def test_daemons_die_when_time_is_over(shell: Shell) -> None:
    with anyio.fail_after(20):
        done = await shell(DAEMONS, timeout_s=1)
    assert (done.timed_out, done.exit_code) == (True, None)
    assert (await shell(LEFT)).stdout.strip() == "0"


async def test_daemons_die_with_a_cancelled_call(shell: Shell) -> None:
    with anyio.move_on_after(1) as scope:
        await shell(DAEMONS)
    assert scope.cancelled_caught
    assert (await shell(LEFT)).stdout.strip() == "0"


async def test_a_background_process_ends_with_its_command(shell: Shell) -> None:
    with anyio.fail_after(10):
        assert (await shell("(setsid sleep 4711 &); echo done")).stdout == "done\n"
    assert (await shell(LEFT)).stdout.strip() == "0"


async def test_much_output_is_bounded_to_head_and_tail(shell: Shell) -> None:
    done = await shell(
        "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last", max_output=10_000
    )
    assert done.truncated
    assert len(done.stdout) < 10_200
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("last\n")
    assert "bytes left out" in done.stdout


async def test_diff_round_trip(
    sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path, tmp_path: Path
) -> None:
    before = fingerprint(repository)
    info = await open_workspace(repository)
    start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=info.workspace_id)
    box = (await sandboxes.start(start)).sandbox_id
    line = (
        "printf 'a\\0b\\377' > data.bin; printf 'caf\\351\\n' > latin.txt; mkdir 'n ew'; echo x > 'n ew/ü.txt';"
        "rm tests/test_calc.py; echo ignored > x.log; mkdir __pycache__; echo c > __pycache__/c.pyc;"
        "mkdir inner; git init -q inner; echo y > inner/y; printf 'z' >> calc.py; chmod +x calc.py"
    )
    await sandboxes.exec(box, ExecRequest(argv=["sh", "-c", line]))
    exported = await sandboxes.export_diff(info.workspace_id, "Change")
    names = {"data.bin", "latin.txt", "n ew/ü.txt", "tests/test_calc.py", "inner/y", "calc.py"}
    assert set(exported.files) == names
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(repository), str(copy))
    (tmp_path / "d.patch").write_text(exported.diff)
    git(copy, "apply", "--index", str(tmp_path / "d.patch"))
    assert git(copy, "write-tree") == exported.head_tree
    child = await open_workspace("", from_workspace=info.workspace_id)
    assert child.base_tree == exported.head_tree
    fresh = await open_workspace(repository)
    await sandboxes.apply_diff(fresh.workspace_id, exported.diff)
    assert (await sandboxes.export_diff(fresh.workspace_id, "Again")).head_tree == exported.head_tree
    await sandboxes.export_diff(info.workspace_id, "Change")
    with pytest.raises(Conflict):
        await sandboxes.apply_diff(info.workspace_id, exported.diff.replace("return a - b", "return a % b"))
    assert fingerprint(repository) == before


async def test_import_of_dirty_and_private_work(open_workspace: Opened, repository: Path) -> None:
    (repository / "calc.py").write_text("changed = True\n")
    (repository / "new.txt").write_text("new")
    (repository / "new.txt").chmod(0o600)
    (repository / "x.log").write_text("ignored")
    if os.geteuid() == 0:
        os.chown(repository / "new.txt", 12345, 12345)
    before = fingerprint(repository)
    clean = await open_workspace(repository)
    assert (clean.dirty_left_out, clean.files) == (2, 3)
    assert clean.base_commit == clean.source_commit == git(repository, "rev-parse", "HEAD")
    dirty = await open_workspace(repository, include_dirty=True)
    assert (dirty.dirty_left_out, dirty.files) == (0, 4)
    assert dirty.source_commit == clean.source_commit != dirty.base_commit
    assert fingerprint(repository) == before


async def test_import_of_another_commit_than_head(
    sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path
) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "calc.py").write_text("second = True\n")
    git(repository, "commit", "-qam", "Second")
    (repository / "new.txt").write_text("new")
    assert (await open_workspace(repository, commit=first)).base_commit == first
    head = await open_workspace(repository)
    again = await open_workspace(repository, commit=first)
    assert (again.base_commit, again.dirty_left_out, again.files) == (first, 1, 3)
    assert again.base_tree != head.base_tree
    with pytest.raises(InvalidArgument, match="belongs to HEAD"):
        await open_workspace(repository, commit=first, include_dirty=True)


async def test_a_huge_file_says_what_to_do(open_workspace: Opened, repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (folder, repository):
        with (place / "huge.bin").open("wb") as stream:
            stream.truncate(1 << 30)
        with anyio.fail_after(60), pytest.raises(TooLarge, match=r"huge\.bin has 1024 MiB") as refused:
            await open_workspace(place, include_dirty=True)
        assert ".gitignore" in refused.value.hint
        (place / ".gitignore").write_text("*.bin\n")
        (place / "a.txt").write_text("a")
        with anyio.fail_after(60):
            assert (await open_workspace(place, include_dirty=True)).files >= 2


async def test_import_of_folder_and_of_a_repository_without_a_commit(
    sandboxes: DockerSandboxes, open_workspace: Opened, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "x.py").write_text("x = 1\n")
    info = await open_workspace(plain)
    assert (info.imported_folder, info.source_commit, info.files) == (True, None, 1)
    empty = tmp_path / "none"
    empty.mkdir()
    git(empty, "init", "-q")
    with pytest.raises(InvalidArgument, match="no commit yet") as refused:
        await open_workspace(empty)
    assert refused.value.hint


async def test_check_runs_where_no_agent_was(
    sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path
) -> None:
    info = await open_workspace(repository)
    start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=info.workspace_id)
    box = (await sandboxes.start(start)).sandbox_id
    left = "echo a > /tmp/left; echo a > left.log; echo a > ~/left; echo evil > tests/test_calc.py; echo a > tests/n.py"
    await sandboxes.exec(box, ExecRequest(argv=["sh", "-c", left]))
    head = (await sandboxes.export_diff(info.workspace_id, "x")).head_commit
    look = "ls -A /tmp ~ . tests; cat tests/test_calc.py more/o.py; hostname; id -u; env | grep -i hypercode"
    report = "mkdir /tmp/hypercode-report; echo '<x/>' > /tmp/hypercode-report/junit.xml; exit 3"
    ran = await sandboxes.check(
        CheckRequest(
            workspace_id=info.workspace_id,
            commit=head,
            image="python:3.13-slim",
            argv=["sh", "-c", f"{look}; {report}"],
            restore_paths=["tests"],
            restore_paths_from=info.base_commit,
            overlay={"more/o.py": "overlay\n"},
        )
    )
    assert (ran.exit_code, ran.timed_out, ran.reports) == (3, False, {"junit.xml": "<x/>\n"})
    assert "left" not in ran.stdout
    assert "evil" not in ran.stdout
    assert "n.py" not in ran.stdout.split()
    assert "overlay\nsandbox\n10001\n" in ran.stdout
    assert ran.tree == info.base_tree


async def test_environment_is_built_cached_and_has_no_other_way_out(
    sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path
) -> None:
    (repository / "pyproject.toml").write_text(
        '[project]\nname = "calc"\nversion = "1"\ndependencies = ["iniconfig"]\n'
    )
    (repository / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "calc"\nversion = "1"\ndependencies = ["iniconfig"]\n'
        '[tool.setuptools]\npy-modules = ["calc"]\n'
    )
    info = await open_workspace(repository, include_dirty=True)
    phases: list[str] = []

    async def progress(phase: str, _message: str) -> None:
        phases.append(phase)

    async def build(**settings: object) -> object:
        asked = BuildEnvironment(workspace_id=info.workspace_id, project_id="p", settings=settings)
        return await sandboxes.build_environment(asked, progress)

    first = await sandboxes.build_environment(
        BuildEnvironment(workspace_id=info.workspace_id, project_id="p"), progress
    )
    second = await sandboxes.build_environment(
        BuildEnvironment(workspace_id=info.workspace_id, project_id="p"), progress
    )
    assert second.cached
    assert second.image_id == first.image_id
    ran = await sandboxes.check(
        CheckRequest(
            workspace_id=info.workspace_id,
            commit=info.base_commit,
            image=first.image,
            argv=["python", "-c", "import iniconfig, calc, pytest; print(calc.__file__)"],
        )
    )
    assert (ran.exit_code, ran.stdout) == (0, "/workspace/calc.py\n")
    fetch = "/opt/venv/bin/python -c 'import urllib.request as u; u.urlopen(\"https://example.org\")'"
    with pytest.raises(EnvironmentFailed) as failed:
        await build(setup=[fetch])
    assert "403" in failed.value.log_tail
    assert (failed.value.phase, bool(failed.value.hint)) == ("setup", True)


async def test_no_engine_says_so(tmp_path: Path) -> None:
    absent = DockerSandboxes(SandboxSettings(), url=f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(SandboxDown) as down:
        await absent.ready()
    assert down.value.hint
    await absent.close()
