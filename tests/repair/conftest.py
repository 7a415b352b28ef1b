"""Small real projects for the engine, and the engine as the platform starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ENGINE = Path(__file__).parents[2] / "src" / "hypercode" / "repair" / "engine.py"
Files = dict[str, str]


def write_project(root: Path, files: Files) -> Path:
    for name, text in {"pytest.ini": "[pytest]\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Files], Path]:
    def make(files: Files) -> Path:
        return write_project(tmp_path / "project", files)

    return make


class Engine:
    """Runs `engine.py` by path, as the sandbox does, and reads its lines."""

    path = ENGINE

    def records(self, root: Path, *options: str, budget_s: float = 20) -> list[dict[str, Any]]:
        command = [sys.executable, str(ENGINE), "--root", str(root), "--json"]
        command += ["--budget-s", str(budget_s), *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def result(self, root: Path, *options: str, budget_s: float = 20) -> dict[str, Any]:
        return self.records(root, *options, budget_s=budget_s)[-1]

    def replayed(self, root: Path, patch: dict[str, Any]) -> str:
        """The file after the patch's edits, each of which must find its text exactly once."""
        text = (root / patch["path"]).read_bytes().decode("utf-8")
        for edit in patch["edits"]:
            assert text.count(edit["old"]) == 1
            text = text.replace(edit["old"], edit["new"])
        return text


@pytest.fixture
def engine() -> Engine:
    return Engine()
