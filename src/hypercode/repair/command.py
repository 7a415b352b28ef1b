"""The command line: read the options, run the search, write one JSON object a line."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, Dict, List

from .search import Options, Search


def write(record: Dict[str, Any]) -> None:
    """Put one object on stdout at once, as readers follow it while it grows."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def parse(argv: List[str]) -> Options:
    """The options; exits with code 2 and words on stderr when they are wrong."""
    parser = argparse.ArgumentParser(prog="engine.py", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the project")
    parser.add_argument("--test", action="append", default=[], help="pytest id to make pass")
    parser.add_argument("--path", action="append", default=[], help="glob of files to change")
    parser.add_argument("--budget-s", type=float, default=30.0, help="wall seconds")
    parser.add_argument("--max-patches", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="accepted; output is always JSON")
    found = parser.parse_args(argv)
    root: Path = found.root.resolve()
    if not root.is_dir():
        parser.error(f"{root} is not a directory")
    return Options(root, found.test, found.path, found.budget_s, found.max_patches)


def run(argv: List[str]) -> int:
    """Search and print; 0 whenever a result line was printed."""
    options = parse(argv)
    warnings.simplefilter("ignore")  # what the compiler thinks of candidates is of no use
    search = Search(options, write)
    try:
        write(search.run())
    except Exception:  # noqa: BLE001 - process edge: the caller reads a result line, not a crash
        last = traceback.format_exc().strip().splitlines()
        sys.stderr.write("\n".join(last) + "\n")
        write(search.result("none", f"The repair engine failed: {last[-1]}"))
    finally:
        search.close()
    return 0
