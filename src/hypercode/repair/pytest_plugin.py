"""The pytest plugin: collect once, then run chosen tests in forked children on request."""

from __future__ import annotations

import base64
import gc
import importlib
import importlib.util
import marshal
import os
import re
import signal
import sys
import traceback
import unittest
from typing import Any, Callable, Dict, Iterator, List, Optional, Protocol, Set, Tuple

import pytest

from .raised import frames_of, last_words
from .swap import LiveFunctions, Undo, clear_caches, restore
from .tracing import FileFilter, line_tracer
from .trial import Emitter, Limits, Outcome, limit_cpu, run_in_child

# A line of pytest's short traceback, or of a SyntaxError.
_PLACE = re.compile(r"""^(?:E\s+File ")?([^\s":]+\.py)(?:", line |:)(\d+)""", re.MULTILINE)
MAX_FRAMES = 60
LEAVE = os._exit  # a traced test runs with another one
MAX_MESSAGE = 4000


class Wire(Protocol):
    """Where requests come from and replies go to."""

    def receive(self) -> Dict[str, Any]:
        """The next request."""
        ...

    def send(self, record: Dict[str, Any]) -> None:
        """Write one reply."""
        ...


def quiet_plugins() -> List[str]:
    """Options that switch off plugins which would start processes, trace lines, or repeat tests."""
    options: List[str] = []
    if importlib.util.find_spec("pytest_cov") is not None:
        options.append("--no-cov")
    if importlib.util.find_spec("xdist") is not None:
        options.append("-n0")
    if importlib.util.find_spec("pytest_benchmark") is not None:
        options.append("--benchmark-disable")
    return options


class ServePlugin:
    """Takes over the test loop of one pytest session and serves requests until told to quit."""

    def __init__(self, wire: Wire, root: str) -> None:
        self.collect_errors: List[Dict[str, str]] = []
        self._wire = wire
        self._root = os.path.realpath(root)
        self._items: List[pytest.Item] = []
        self._doctest_names: Dict[int, Dict[str, Any]] = {}
        self._files = FileFilter(self._root, [])
        self._reports: List[pytest.TestReport] = []
        self._detail: Optional[Dict[str, Any]] = None
        self._brief = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what could not be collected: the file and the last line of the error."""
        if report.failed:
            text = str(report.longrepr)
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            last = next((line for line in reversed(lines) if line.startswith("E ")), "")
            error = (last or (lines[-1] if lines else "unknown error")).lstrip("E ").strip()
            place = self._last_place(text)
            self.collect_errors.append({"file": report.nodeid, "at": place, "error": error[:400]})

    def _last_place(self, text: str) -> str:
        """The project's own line that an import failed at, from the text of the traceback."""
        for path, line in reversed(_PLACE.findall(text)):
            absolute = os.path.realpath(os.path.join(self._root, path))
            if absolute.startswith(self._root + os.sep):
                return f"{self._relative(absolute)}:{line}"
        return ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Announce the collected tests and answer requests."""
        self._items = list(session.items)
        # A module with doctests is the product itself, not a file of tests.
        files = sorted({str(item.path) for item in self._items if not hasattr(item, "dtest")})
        self._files = FileFilter(self._root, files)
        self._live = LiveFunctions(self._root)
        gc.collect()
        gc.freeze()  # so that a collection in a child does not copy every page of the parent
        tests = [{"id": item.nodeid, "file": self._relative(str(item.path))} for item in session.items]
        self._wire.send({"reply": "collected", "tests": tests, "errors": self.collect_errors})
        while True:
            request = self._wire.receive()
            if request["op"] == "quit":
                return True
            self._wire.send(self._answer(request))

    def _answer(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if request["op"] == "import":
            return {"reply": "import", "imported": self._import(request["modules"])}
        work = self._batch if request["op"] == "batch" else self._work
        outcome = self._run(request, work)
        return {
            "reply": "run",
            "end": outcome.end,
            "records": outcome.records,
            "cpu_s": outcome.cpu_s,
        }

    def _relative(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self._root).replace(os.sep, "/")

    def _import(self, names: List[str]) -> List[str]:
        """Import modules that tests import late, so that their functions can be swapped."""
        gc.unfreeze()
        imported: List[str] = []
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - the project's code runs here and may raise anything
                continue
            imported.append(name)
        self._live.refresh()
        gc.freeze()
        return imported

    def _run(self, request: Dict[str, Any], work: Callable[[Dict[str, Any], Emitter], None]) -> Outcome:
        unlimited = 1e9
        limits = Limits(
            request["wall_s"],
            request.get("after_failure_s", unlimited),
            request.get("stall_s", unlimited),
        )
        return run_in_child(lambda emit: work(request, emit), limits)

    def _work(self, request: Dict[str, Any], emit: Emitter) -> None:
        """In the child: swap the code, run the tests, tell the results one by one."""
        self._brief = bool(request.get("brief"))
        known: Set[str] = set() if self._brief else set(sys.modules)
        swap = request.get("swap")
        if swap is not None and self._install(swap) is None:
            emit({"swap": "impossible"})
            return
        self._emit = emit
        self._trace_cpu_s = float(request.get("trace_cpu_s", 10.0))
        tracer = line_tracer(self._files) if request.get("trace") else None
        chosen: List[int] = request["tests"]
        for position, index in enumerate(chosen):
            following = chosen[position + 1] if position + 1 < len(chosen) else None
            record = self._run_item(index, following, tracer)
            emit(record)
            if record["outcome"] == "failed" and request.get("stop_at_failure"):
                return
        if not self._brief:
            emit({"modules": sorted(self._own_modules(known))})

    def _install(self, swap: Dict[str, str]) -> Optional[Undo]:
        undo: Undo = []
        for line, code in marshal.loads(base64.b64decode(swap["codes"])):
            done = self._live.install(swap["path"], line, code)
            if done is None:
                restore(undo)
                return None
            undo += done
        return undo

    def _batch(self, request: Dict[str, Any], emit: Emitter) -> None:
        """In the child: several candidates one after the other, to share the cost of the fork.

        A candidate may leave something behind (a changed global). So every success counts only
        after a run of its own, and at the end a test that passes unpatched must still pass.
        """
        self._brief = True
        for position, swap in enumerate(request["swaps"]):
            limit_cpu(request["cpu_s"])
            undo = self._install(swap)
            record: Dict[str, Any] = {"candidate": position}
            if undo is None:
                emit({**record, "swap": "impossible"})
                continue
            ended = self._run_all(request["tests"], request["stop_at_failure"])
            emit({**record, "passed": [test for test, passed in ended if passed]})
            restore(undo)
        if request["canary"] is not None:
            limit_cpu(request["cpu_s"])
            emit({"canary": self._run_all([request["canary"]], True)[0][1]})

    def _run_all(self, tests: List[int], stop_at_failure: bool) -> List[Tuple[int, bool]]:
        """Run tests and tear everything down after the last one that runs."""
        clear_caches(self._live.caches)
        ended: List[Tuple[int, bool]] = []
        for position, test in enumerate(tests):
            following = tests[position + 1] if position + 1 < len(tests) else None
            passed = self._run_item(test, following, None)["outcome"] != "failed"
            ended.append((test, passed))
            if not passed and stop_at_failure and following is not None:
                session: Any = self._items[test].session
                session._setupstate.teardown_exact(None)
                break
        return ended

    def _run_item(self, index: int, following: Optional[int], tracer: Any) -> Dict[str, Any]:
        item = self._items[index]
        after = None if following is None else self._items[following]
        self._reports = []
        self._detail = None
        self._refill(index)
        if tracer is not None:
            self._tell_before_end(index, tracer)
            tracer.start()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
        record: Dict[str, Any] = {"test": index}
        if tracer is not None:
            lines = tracer.stop()
            record["lines"] = {path: sorted(found) for path, found in lines.items()}
        record["outcome"] = self._outcome()
        record["s"] = sum(report.duration for report in self._reports)
        if self._detail is not None and record["outcome"] == "failed":
            record["detail"] = self._detail
        return record

    def _refill(self, index: int) -> None:
        """A doctest empties its names when it ends: the next candidate's run gets them again."""
        doctest: Any = getattr(self._items[index], "dtest", None)
        if doctest is not None:
            names = self._doctest_names.setdefault(index, dict(doctest.globs))
            doctest.globs.update(names)

    def _tell_before_end(self, index: int, tracer: Any) -> None:
        """A traced test that never ends, or ends its process, still tells its lines before."""

        def tell(*_: Any) -> None:
            found = {path: sorted(lines) for path, lines in tracer.stop().items()}
            self._emit({"test": index, "lines": found, "outcome": "failed", "s": 0.0})
            LEAVE(0)

        os._exit = tell  # type: ignore[assignment]
        signal.signal(signal.SIGPROF, tell)
        limit_cpu(self._trace_cpu_s)

    def _outcome(self) -> str:
        if any(report.failed for report in self._reports):
            return "failed"
        if any(report.when == "call" and report.passed for report in self._reports):
            return "passed"
        return "skipped"

    def _own_modules(self, known: Set[str]) -> Iterator[str]:
        for name, module in list(sys.modules.items()):
            filename = getattr(module, "__file__", None)
            if name not in known and isinstance(filename, str) and self._files.relative(filename):
                yield name

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Optional[pytest.TestReport]:
        """In a trial only the outcome counts: a failure is not spelled out, which costs most."""
        if not self._brief or call.excinfo is None or call.when == "collect":
            return None
        if isinstance(call.excinfo.value, (pytest.skip.Exception, unittest.SkipTest)):
            return None
        return pytest.TestReport(
            item.nodeid, item.location, {}, "failed", "failed", call.when, duration=call.duration
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the reports of the test that runs now."""
        self._reports.append(report)

    def pytest_exception_interact(self, call: pytest.CallInfo[Any], report: Any) -> None:
        """Keep the first error of the test: its type, message and the project's own frames."""
        if self._brief or self._detail or call.excinfo is None or call.when == "collect":
            return
        crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
        message = crash.message if crash is not None else str(call.excinfo.value)
        kept = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(call.excinfo.tb)]
        frames = frames_of(kept, message)[-MAX_FRAMES:]
        places = [(self._files.relative(path), line) for path, line in frames]
        kind = type(call.excinfo.value).__name__
        self._detail = {
            "type": kind,
            "message": message[:MAX_MESSAGE],
            "frames": [[path, line] for path, line in places if path],
            "raised": [self._relative(frames[-1][0]), frames[-1][1]] if frames else [],
            "words": last_words(kind, message),
            "phase": call.when,
        }
