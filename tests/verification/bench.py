"""A small repository with a wrong ``add``, ways to run checks on its commits, and a verifier over them."""

import asyncio
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hypercode.domain.budget import Budget
from hypercode.domain.check import Check
from hypercode.domain.environment import Environment, Recipe
from hypercode.domain.ids import new_id
from hypercode.domain.role import AgentRole
from hypercode.platform_api.types import CheckRan, CheckRun
from hypercode.sandbox.base import CheckRequest, ExportedDiff, OpenWorkspace, Sandboxes
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import Database
from hypercode.store.runs import create_run
from hypercode.store.tables import OrganisationRow, ProjectRow, TaskRow, UserRow
from hypercode.verification.checks import CheckRunner
from hypercode.verification.verifier import Freeze, FrozenChecks, Verified, Verifier, Verify

CHECK = Check(
    argv=["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"], framework="pytest", timeout_s=60
)

BASE_FILES = {
    "calc/__init__.py": "from calc.core import add, sub\n",
    "calc/core.py": "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n",
    "tests/test_core.py": (
        "import unittest\n\nfrom calc import add, sub\n\n\n"
        "def test_add():\n    assert add(2, 3) == 5\n\n\n"
        "def test_sub():\n    assert sub(5, 3) == 2\n\n\n"
        "class TestTotals(unittest.TestCase):\n"
        "    def test_three(self):\n        self.assertEqual(add(add(1, 2), 3), 6)\n"
    ),
    "README.md": "# calc\n",
}

Edits = dict[str, str | None]
"""Path -> whole new text; None deletes the file."""


class Bench(Protocol):
    """A place that commits edits on top of the base and runs checks on commits."""

    base_commit: str
    image_id: str

    def workspace_for(self, run_id: str) -> str: ...
    async def open(self, workspace_id: str) -> None: ...
    async def export(self, workspace_id: str, edits: Edits) -> ExportedDiff: ...
    async def check_run(self, request: CheckRun) -> CheckRan: ...


def git(directory: Path, *arguments: str) -> str:
    environment = os.environ | {
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.invalid",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.invalid",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip("\n") if arguments[0] != "diff" else done.stdout


def write_files(directory: Path, edits: Edits) -> None:
    for path, text in edits.items():
        target = directory / path
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)


@dataclass
class LocalBench:
    """Runs checks as processes of this machine: no isolation, for cases that are safe to run like that."""

    directory: Path
    files: Edits = field(default_factory=lambda: dict(BASE_FILES))
    image_id: str = "sha256:" + "0" * 64
    base_commit: str = ""
    calls: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        git(self.directory, "init", "-q", "-b", "main")
        write_files(self.directory, self.files)
        git(self.directory, "add", "-A")
        git(self.directory, "commit", "-q", "-m", "base")
        self.base_commit = git(self.directory, "rev-parse", "HEAD")

    def workspace_for(self, run_id: str) -> str:
        return new_id("workspace")

    async def open(self, workspace_id: str) -> None:
        return None

    async def export(self, workspace_id: str, edits: Edits) -> ExportedDiff:
        git(self.directory, "checkout", "-q", "--detach", self.base_commit)
        write_files(self.directory, edits)
        git(self.directory, "add", "-A")
        git(self.directory, "commit", "-q", "--allow-empty", "-m", "head")
        diff = git(self.directory, "diff", "--binary", "--full-index", self.base_commit, "HEAD")
        head, tree = git(self.directory, "rev-parse", "HEAD", "HEAD^{tree}").split()
        git(self.directory, "checkout", "-q", "--detach", self.base_commit)
        return ExportedDiff(
            diff=diff,
            head_commit=head,
            head_tree=tree,
            files=sorted(edits),
            insertions=0,
            deletions=0,
        )

    async def check_run(self, request: CheckRun) -> CheckRan:
        self.calls += 1
        return await asyncio.to_thread(self._run, request)

    def _run(self, request: CheckRun) -> CheckRan:
        with tempfile.TemporaryDirectory() as temporary:
            work, report = Path(temporary) / "workspace", Path(temporary) / "report"
            work.mkdir()
            report.mkdir()
            archive = Path(temporary) / "tree.tar"
            git(self.directory, "archive", "-o", str(archive), request.commit)
            with tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
            self._restore(work, request)
            write_files(work, dict(request.overlay))
            argv = [a.replace("/tmp/hypercode-report", str(report)) for a in request.argv]
            argv = [sys.executable if argv[0] == "python" else argv[0], *argv[1:]]
            started = time.monotonic()
            done = subprocess.run(
                argv, cwd=work, capture_output=True, text=True, timeout=60, check=False,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONDONTWRITEBYTECODE": "1",
                    # This interpreter has more plugins than the sample project would; they only cost time.
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    **request.env,
                },
            )  # fmt: skip
            return CheckRan(
                exit_code=done.returncode,
                timed_out=False,
                stdout=done.stdout,
                stderr=done.stderr,
                reports={p.name: p.read_text() for p in report.iterdir()},
                tree=git(self.directory, "rev-parse", f"{request.commit}^{{tree}}"),
                image_id=self.image_id,
                duration_ms=(time.monotonic() - started) * 1000,
            )

    def _restore(self, work: Path, request: CheckRun) -> None:
        for path in request.restore_paths:
            (work / path).unlink(missing_ok=True)
            known = git(
                self.directory, "ls-tree", "-r", "--name-only", request.restore_paths_from or "", "--", path
            )
            if known:
                text = git(self.directory, "show", f"{request.restore_paths_from}:{path}")
                write_files(work, {path: text + "\n"})


@dataclass
class Court:
    """A verifier with its database rows, over a bench."""

    bench: Bench
    database: Database
    artifacts: ArtifactStore
    key: Ed25519PrivateKey
    project_id: str
    task_id: str
    organisation_id: str

    @property
    def environment(self) -> Environment:
        recipe = Recipe(source="detected", base_image="base", setup=[])
        return Environment(
            image=getattr(self.bench, "image", "image"),
            image_id=self.bench.image_id,
            recipe=recipe,
            recipe_digest="1" * 64,
            cached=False,
            build_s=0.0,
        )

    def verifier(self, runner: CheckRunner | None = None) -> Verifier:
        return Verifier(self.database, self.artifacts, runner or self.bench, self.key)

    async def new_run(self) -> str:
        run_id = new_id("run")
        workspace_id = self.bench.workspace_for(run_id)
        await self.bench.open(workspace_id)
        async with self.database.transaction() as session:
            row = await create_run(
                session, id=run_id, organisation_id=self.organisation_id, project_id=self.project_id,
                task_id=self.task_id, parent_run_id=None, plan_item_id=None, goal="fix add",
                role=AgentRole.CODER, model="builtin/repair", workspace_id=workspace_id, grant_token="",
            )  # fmt: skip
            row.base_commit = self.bench.base_commit
        self.workspaces[run_id] = workspace_id
        return run_id

    workspaces: dict[str, str] = field(default_factory=dict)

    async def freeze(self, run_id: str, checks: list[Check] | None = None) -> FrozenChecks:
        asked = Freeze(
            run_id=run_id, environment=self.environment, checks=[CHECK] if checks is None else checks
        )
        return await self.verifier().freeze(asked)

    async def judge(self, edits: Edits, checks: list[Check] | None = None) -> Verified:
        """A whole run's way: freeze at base, export the edits, verify."""
        run_id = await self.new_run()
        await self.freeze(run_id, checks)
        return await self.verify(run_id, edits)

    async def verify(self, run_id: str, edits: Edits) -> Verified:
        exported = await self.bench.export(self.workspaces[run_id], edits)
        asked = Verify(
            run_id=run_id, head_commit=exported.head_commit, head_tree=exported.head_tree, diff=exported.diff
        )
        return await self.verifier().verify(asked, self._progress)

    async def _progress(self, phase: str, message: str) -> None:
        assert phase
        assert message


async def open_court(bench: Bench, database: Database, directory: Path, project_id: str) -> Court:
    """Make the rows that a run needs. A project that is there already keeps its base results."""
    ids = {noun: new_id(noun) for noun in ("organisation", "user", "task")}
    async with database.transaction() as session:
        project = await session.get(ProjectRow, project_id)
        organisation_id = project.organisation_id if project else ids["organisation"]
        if project is None:
            session.add(OrganisationRow(id=organisation_id, name="org"))
            await session.flush()
            session.add(
                ProjectRow(
                    id=project_id, organisation_id=organisation_id, name="calc",
                    source_kind="local_path", source="/calc", environment={},
                )
            )  # fmt: skip
        session.add(
            UserRow(
                id=ids["user"], organisation_id=organisation_id, email=f"{ids['user']}@example.invalid",
                name="u", role="admin", password_hash="x",
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            TaskRow(
                id=ids["task"], organisation_id=organisation_id, project_id=project_id,
                created_by=ids["user"], prompt="fix add", model="builtin/repair", routing="coder", checks=[],
                require="fixed", budget=Budget().model_dump(), include_dirty=False,
            )
        )  # fmt: skip
    artifacts = ArtifactStore(directory / "artifacts")
    key = Ed25519PrivateKey.generate()
    return Court(bench, database, artifacts, key, project_id, ids["task"], organisation_id)


@dataclass
class DockerBench:
    """Runs checks as the platform does: workspaces, fresh containers and images of the sandbox room."""

    local: LocalBench
    sandboxes: Sandboxes
    project_id: str = field(default_factory=lambda: new_id("project"))
    image: str = ""
    image_id: str = ""
    base_commit: str = ""
    opened: list[str] = field(default_factory=list)

    def workspace_for(self, run_id: str) -> str:
        return new_id("workspace")

    async def open(self, workspace_id: str) -> None:
        info = await self.sandboxes.open_workspace(
            OpenWorkspace(
                workspace_id=workspace_id,
                project_id=self.project_id,
                source_kind="local_path",
                source=str(self.local.directory),
                commit=self.local.base_commit,
            )
        )
        self.opened.append(workspace_id)
        self.base_commit = info.base_commit

    async def export(self, workspace_id: str, edits: Edits) -> ExportedDiff:
        exported = await self.local.export(workspace_id, edits)
        await self.sandboxes.apply_diff(workspace_id, exported.diff)
        return await self.sandboxes.export_diff(workspace_id, "head")

    async def check_run(self, request: CheckRun) -> CheckRan:
        asked = CheckRequest.model_validate(request.model_dump(exclude={"run_id"}))
        output = await self.sandboxes.check(asked)
        return CheckRan.model_validate(output.model_dump())

    async def close(self) -> None:
        for workspace_id in self.opened:
            await self.sandboxes.close_workspace(workspace_id)
