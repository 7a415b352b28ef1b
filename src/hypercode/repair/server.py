"""The process that imports the project and runs its tests, driven by lines of JSON on two pipes."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List

import pytest

from .pytest_plugin import ServePlugin, quiet_plugins
from .trial import become_subreaper


class Wire:
    """JSON lines over a pair of file descriptors that children of this process do not keep."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = os.fdopen(reader, "rb")
        self._writer = writer

    def receive(self) -> Dict[str, Any]:
        """The next request; `{"op": "quit"}` when the engine has gone."""
        line = self._reader.readline()
        return json.loads(line) if line else {"op": "quit"}

    def send(self, record: Dict[str, Any]) -> None:
        """Write one reply."""
        data = json.dumps(record).encode("utf-8") + b"\n"
        while data:
            data = data[os.write(self._writer, data) :]


def serve(argv: List[str]) -> int:
    """`serve READ_FD WRITE_FD ROOT BASETEMP [PYTEST_ARG ...]`: collect once, then take requests.

    The root goes first in `sys.path`, as `python -m pytest` does it.
    """
    reader, writer, root, basetemp, *extra = argv
    wire = Wire(int(reader), int(writer))
    os.chdir(root)
    sys.path.insert(0, root)
    become_subreaper()
    plugin = ServePlugin(wire, root)
    arguments = [
        *("-p", "no:cacheprovider", "-p", "no:randomly", "--capture=sys"),
        f"--rootdir={root}",
        f"--basetemp={basetemp}",
        *quiet_plugins(),
        *extra,
    ]
    code = pytest.main(arguments, plugins=[plugin])
    wire.send({"reply": "ended", "code": int(code), "errors": plugin.collect_errors})
    return 0
