"""Work on a project's snapshots that needs no workspace, in a short-lived container: compare two, list, prune.

Prints one JSON line; the arguments together are one JSON text.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import snapshot_prune
from refusals import Refused
from snapshot_diff import compare
from snapshot_store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any


def _compare(args: dict[str, Any]) -> dict[str, Any]:
    store = Store()
    with store.held():
        store.swept()
        trees = [
            store.tree(each["workspace_id"], each["snapshot_id"])[1] for each in (args["old"], args["new"])
        ]
        return compare(store, *trees)


def _perform(args: dict[str, Any]) -> dict[str, Any]:
    if args["op"] == "compare":
        return _compare(args)
    if args["op"] == "names":
        return {"names": snapshot_prune.names(Store())}
    return snapshot_prune.prune(Store(), args["drop"], args["older_than_s"])


def main() -> None:
    """Do what the arguments say and print the outcome as JSON."""
    try:
        answer: dict[str, Any] = {"ok": _perform(json.loads("".join(sys.argv[1:])))}
    except Refused as refused:
        answer = {"error": {"code": refused.code, "message": refused.message, "hint": refused.hint}}
    except OSError as failure:
        answer = {"error": {"code": "INTERNAL", "message": "snapshots: %s" % failure, "hint": ""}}
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


if __name__ == "__main__":
    main()
