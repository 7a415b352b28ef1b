"""Which lines of the project's files a test runs, by `sys.monitoring` (3.12) or `sys.settrace`."""

from __future__ import annotations

import os
import re
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional, Set

Lines = Dict[str, Set[int]]
_NOT_PROJECT = {"site-packages", "tests", "test", ".venv", "venv"}
_TEST_FILE = re.compile(r"(test_.*|.*_tests?|conftest)\.py$")
_TOOL = 3  # free for applications: 0, 1, 2 and 5 are named for debugger, coverage, profiler, ...


class FileFilter:
    """Says which code belongs to the project: below the root, not a test, not installed."""

    def __init__(self, root: str, excluded: List[str]) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._excluded = {os.path.realpath(path) for path in excluded}
        self._known: Dict[str, Optional[str]] = {}

    def relative(self, filename: str) -> Optional[str]:
        """The path relative to the root, or None when lines of this file are not wanted."""
        if filename not in self._known:
            self._known[filename] = self._judge(filename)
        return self._known[filename]

    def _judge(self, filename: str) -> Optional[str]:
        if filename.startswith("<"):
            return None
        path = os.path.realpath(filename)
        if not path.startswith(self._root) or path in self._excluded:
            return None
        relative = path[len(self._root) :]
        parts = relative.replace(os.sep, "/").split("/")
        if _NOT_PROJECT & set(parts) or _TEST_FILE.match(parts[-1]):
            return None
        return "/".join(parts)


class SetTrace:
    """Line coverage by `sys.settrace`: frames of other files cost one call event each."""

    def __init__(self, files: FileFilter) -> None:
        self._files = files
        self._lines: Lines = {}
        self._locals: Dict[CodeType, Optional[Callable[..., Any]]] = {}

    def start(self) -> None:
        """Begin a test with no lines seen."""
        self._lines = {}
        self._locals = {}
        sys.settrace(self._call)

    def stop(self) -> Lines:
        """End the test; the lines seen since `start`."""
        sys.settrace(None)
        return self._lines

    def _call(self, frame: FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
        code = frame.f_code
        if code not in self._locals:
            self._locals[code] = self._tracer(code)
        return self._locals[code]

    def _tracer(self, code: CodeType) -> Optional[Callable[..., Any]]:
        path = self._files.relative(code.co_filename)
        if path is None:
            return None
        add = self._lines.setdefault(path, set()).add

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                add(frame.f_lineno)
            return on_line

        return on_line


class Monitoring:
    """Line coverage by `sys.monitoring`: each line reports once a test, then is switched off."""

    def __init__(self, files: FileFilter) -> None:
        self._files = files
        self._lines: Lines = {}
        self._monitoring: Any = vars(sys)["monitoring"]
        self._monitoring.use_tool_id(_TOOL, "hypercode-repair")
        line = self._monitoring.events.LINE
        self._monitoring.register_callback(_TOOL, line, self._line)

    def start(self) -> None:
        """Begin a test with no lines seen."""
        self._lines = {}
        self._monitoring.restart_events()
        self._monitoring.set_events(_TOOL, self._monitoring.events.LINE)

    def stop(self) -> Lines:
        """End the test; the lines seen since `start`."""
        self._monitoring.set_events(_TOOL, 0)
        return self._lines

    def _line(self, code: CodeType, line: int) -> Any:
        path = self._files.relative(code.co_filename)
        if path is not None:
            self._lines.setdefault(path, set()).add(line)
        return self._monitoring.DISABLE


def line_tracer(files: FileFilter) -> SetTrace | Monitoring:
    """The cheaper tracer this interpreter has."""
    if hasattr(sys, "monitoring"):
        return Monitoring(files)
    return SetTrace(files)
