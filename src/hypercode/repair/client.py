"""The engine's side of the test server: start it, ask it, start it again when it dies."""

from __future__ import annotations

import base64
import json
import marshal
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, Dict, List, Optional, Tuple

USAGE_ERROR = 4  # pytest.ExitCode.USAGE_ERROR
_ENGINE = Path(__file__).resolve().parent / "engine.py"


class ServerDied(Exception):
    """The process with the project in it has gone; a new one has to be started."""


@dataclass(frozen=True)
class TestCase:
    """A collected test: its pytest id and its file relative to the root."""

    id: str
    file: str


@dataclass
class Collection:
    """What one start of pytest found. `problem` is set when it could not collect at all."""

    tests: List[TestCase] = field(default_factory=list[TestCase])
    errors: List[Dict[str, str]] = field(default_factory=list[dict[str, str]])
    problem: str = ""


@dataclass
class Run:
    """Results of one forked run: a record for each test that ended, in the order run."""

    end: str
    records: List[Dict[str, Any]]
    modules: List[str]
    swapped: bool = True

    @property
    def failed(self) -> List[int]:
        """Tests that failed."""
        return [entry["test"] for entry in self.records if entry["outcome"] == "failed"]

    @property
    def passed(self) -> List[int]:
        """Tests that passed or were skipped."""
        return [entry["test"] for entry in self.records if entry["outcome"] != "failed"]

    def clean(self, count: int) -> bool:
        """True when all `count` tests ended and none failed."""
        return self.end == "done" and len(self.records) == count and not self.failed


@dataclass(frozen=True)
class Swap:
    """New code for functions of a file (absolute path), by the line each began at unpatched."""

    path: str
    codes: Tuple[Tuple[int, CodeType], ...]


@dataclass
class Batch:
    """Results of candidates run in one child: the failing tests each made pass, in order.

    None for one that cannot be swapped in. When `end` is not `done`, the one after the last
    ended it (by a crash or by running out of time). `spoilt`: a test that passes unpatched did
    not any more, so the later results mean nothing.
    """

    end: str
    passed: List[Optional[List[int]]]
    spoilt: bool


class TestServer:
    """One pytest process that has collected the suite and runs parts of it in forked children."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temp = tempfile.mkdtemp(prefix="hypercode-repair-")
        self._extra: List[str] = []
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._pipes: Tuple[int, int] = (-1, -1)
        self._input: Any = None
        self.child_cpu_s = 0.0

    def collect(self, timeout_s: float) -> Collection:
        """Start pytest and collect; once more without the project's `addopts` on a usage error.

        Options of plugins that are not installed here (`--cov` is the common one) are such errors.
        """
        collection, code = self._start()
        if code == USAGE_ERROR and not self._extra:
            self.close_process()
            self._extra = ["-o", "addopts="]
            collection, code = self._start()
        if code is not None and not collection.errors and code not in (0, 5):
            collection.problem = self._last_words() or f"pytest ended with exit code {code}"
        return collection

    def _start(self) -> Tuple[Collection, Optional[int]]:
        to_server, ours_out = os.pipe()
        ours_in, from_server = os.pipe()
        command = [sys.executable, str(_ENGINE), "serve", str(to_server), str(from_server)]
        command += [str(self._root), os.path.join(self._temp, "tests"), *self._extra]
        with open(os.path.join(self._temp, "stderr"), "wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=subprocess.STDOUT,
                pass_fds=(to_server, from_server),
                env=self._environment(),
                start_new_session=True,
            )
        os.close(to_server)
        os.close(from_server)
        self._pipes = (ours_in, ours_out)
        self._input = os.fdopen(ours_in, "rb")
        try:
            reply = self._receive()
        except ServerDied:
            return Collection(), -1
        tests = [TestCase(entry["id"], entry["file"]) for entry in reply.get("tests", [])]
        return Collection(tests, reply.get("errors", [])), reply.get("code")

    def _environment(self) -> Dict[str, str]:
        changes = {
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": os.path.join(self._temp, "hypothesis"),
        }
        return {**os.environ, **changes}

    def _last_words(self) -> str:
        text = Path(self._temp, "stderr").read_text("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("ERROR", "E ", "ImportError"))]
        return [*lines, *errors][-1][:400] if lines else ""

    def _receive(self) -> Dict[str, Any]:
        line = self._input.readline()
        if not line:
            raise ServerDied(self._last_words())
        return json.loads(line)

    def _ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        try:
            os.write(self._pipes[1], json.dumps(request).encode("utf-8") + b"\n")
        except BrokenPipeError:
            raise ServerDied(self._last_words()) from None
        return self._receive()

    def run(
        self,
        tests: List[int],
        wall_s: float,
        swap: Optional[Swap] = None,
        **options: Any,
    ) -> Run:
        """Run tests in a forked child, with new code for one function if given.

        Options: `stop_at_failure`, `trace` (bool), `after_failure_s` (seconds). Raises ServerDied.
        """
        request: Dict[str, Any] = {"op": "run", "tests": tests, "wall_s": wall_s, **options}
        if swap is not None:
            request["swap"] = _packed(swap)
        reply = self._ask(request)
        self.child_cpu_s += reply["cpu_s"]
        records = [entry for entry in reply["records"] if "test" in entry]
        modules = [name for entry in reply["records"] for name in entry.get("modules", [])]
        swapped = not any("swap" in entry for entry in reply["records"])
        return Run(reply["end"], records, modules, swapped)

    def batch(self, swaps: List[Swap], tests: List[int], cpu_s: float, **options: Any) -> Batch:
        """Try several swaps in one child, each with at most `cpu_s` of CPU.

        Options: `canary` (a test that passes unpatched, or None) and `stop_at_failure`.
        """
        request = {"op": "batch", "tests": tests, "cpu_s": cpu_s, **options}
        request["swaps"] = [_packed(swap) for swap in swaps]
        request["wall_s"] = (cpu_s * 4 + 1.0) * (len(swaps) + 1)
        request["stall_s"] = cpu_s * 4 + 1.0
        reply = self._ask(request)
        self.child_cpu_s += reply["cpu_s"]
        passed = [entry.get("passed") for entry in reply["records"] if "candidate" in entry]
        spoilt = any(entry.get("canary") is False for entry in reply["records"])
        return Batch(reply["end"], passed, spoilt)

    def preload(self, modules: List[str]) -> None:
        """Import modules in the server that tests import only while they run."""
        if modules:
            self._ask({"op": "import", "modules": modules})

    def close_process(self) -> None:
        """End the server; it is no longer waited for after a second."""
        if self._process is None:
            return
        os.close(self._pipes[1])
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._input.close()
        self._process = None

    def close(self) -> None:
        """End the server and remove its temporary files."""
        self.close_process()
        shutil.rmtree(self._temp, ignore_errors=True)


def _packed(swap: Swap) -> Dict[str, str]:
    codes = base64.b64encode(marshal.dumps(list(swap.codes))).decode("ascii")
    return {"path": swap.path, "codes": codes}
