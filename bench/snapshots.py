"""What a snapshot adds to a call on a repository of 5,000 files, beside `git status` and a plain walk in the same run.

    python -m bench.snapshots [--files 5000] [--rounds 40] [--json]

A real workspace on the real engine. The ways take turns, so that a busy moment hits them all.
"""

import argparse
import asyncio
import base64
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from hypercode.domain.ids import new_id
from hypercode.sandbox.base import ExecRequest, OpenWorkspace, Profile, StartSandbox, WriteRequest
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.worktrees import TakeSnapshot
from hypercode.settings import SandboxSettings

WALK = """
import os, time
began, number = time.perf_counter(), 0
for folder, _names, files in os.walk("."):
    for name in files:
        os.lstat(os.path.join(folder, name))
        number += 1
print((time.perf_counter() - began) * 1000)
"""
WORDS = [f"word{number} = value({number % 97}, other)\n" for number in range(3000)]


def make_repository(folder: Path, files: int) -> int:
    """Text files of 0.5 to 8 KB in 250 directories; return their bytes."""
    random.seed(1)
    size = 0
    for number in range(files):
        path = folder / f"area{number % 25}" / f"part{number % 250}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(random.choices(WORDS, k=random.randint(15, 250)))
        path.write_text(text)
        size += len(text)
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Bench"]):
        subprocess.run(["git", *identity, *args], cwd=folder, check=True)
    return size


class Bench:
    """One workspace, its agent's container, and its helper."""

    def __init__(self, sandboxes: DockerSandboxes, workspace: str, agent: str) -> None:
        self.sandboxes, self.workspace, self.agent = sandboxes, workspace, agent
        self.number = 0

    async def take(self) -> tuple[float, int]:
        """Return the milliseconds of one snapshot as sandboxd takes it, and the bytes that it wrote."""
        self.number += 1
        began = time.perf_counter()
        taken = await self.sandboxes.snapshot_take(
            TakeSnapshot(workspace_id=self.workspace, key=str(self.number))
        )
        return (time.perf_counter() - began) * 1000, taken.stored

    async def inside(self, *argv: str) -> tuple[float, str]:
        """Run a command as the agent does; return its milliseconds and what it printed."""
        done = await self.sandboxes.exec(self.agent, ExecRequest(argv=list(argv), max_output=1 << 20))
        assert done.exit_code == 0, done.stderr
        return done.duration_ms, done.stdout

    async def change(self, number: int, files: int) -> int:
        """Rewrite one file with a line more; return its size."""
        path = f"area{number % 25}/part{number % 250}/module_{number % files}.py"
        text = base64.b64decode((await self.sandboxes.read(self.agent, path, 0, 1 << 20)).data_b64)
        text += f"# change {self.number}\n".encode()
        await self.sandboxes.write(
            self.agent, WriteRequest(path=path, data_b64=base64.b64encode(text).decode())
        )
        return len(text)


async def measure(bench: Bench, files: int, rounds: int) -> dict[str, float]:
    """Take turns between all ways; return medians in ms, and what storage cost."""
    ways: dict[str, list[float]] = {name: [] for name in ("nothing", "one file", "walk", "git status")}
    first, base = await bench.take()
    await asyncio.sleep(
        0.2
    )  # older than a tick of the disk's clock, as a repository is that an agent works on
    await bench.take()
    changed = stored = 0
    for number in range(rounds):
        ways["nothing"].append((await bench.take())[0])
        ways["walk"].append(float((await bench.inside("python3", "-c", WALK))[1]))
        ways["git status"].append((await bench.inside("git", "status", "--porcelain"))[0])
        changed += await bench.change(number * 7, files)
        took, wrote = await bench.take()
        ways["one file"].append(took)
        stored += wrote
    medians = {name: round(statistics.median(values), 1) for name, values in ways.items()}
    p95 = {
        f"{name} p95": round(sorted(ways[name])[int(rounds * 0.95)], 1) for name in ("nothing", "one file")
    }
    return {
        **medians, **p95, "first": round(first, 1), "first_stored": base,
        "changed": changed, "stored": stored, "stored/changed": round(stored / changed, 2),
    }  # fmt: skip


async def run(files: int, rounds: int) -> dict[str, float]:
    """Make everything, measure, remove everything."""
    sandboxes = DockerSandboxes(SandboxSettings(), instance="bench-snapshots")
    project, workspace = new_id("project"), new_id("workspace")
    with tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp") as directory:
        size = make_repository(Path(directory), files)
        request = OpenWorkspace(
            workspace_id=workspace, project_id=project, source_kind="local_path", source=directory
        )
        try:
            await sandboxes.open_workspace(request)
            start = StartSandbox(profile=Profile.AGENT, owner="bench", workspace_id=workspace)
            agent = (await sandboxes.start(start)).sandbox_id
            helper = StartSandbox(profile=Profile.HELPER, owner="bench", workspace_id=workspace)
            await sandboxes.start(helper)
            found = await measure(Bench(sandboxes, workspace, agent), files, rounds)
            return {"files": files, "bytes": size, **found}
        finally:
            await sandboxes.close_workspace(workspace)
            await sandboxes.purge(images=False)
            await sandboxes.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(run(options.files, options.rounds))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>16}  {value}")


if __name__ == "__main__":
    main()
