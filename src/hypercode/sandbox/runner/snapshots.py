"""Snapshots of the whole workspace, and bringing one back. Runs in the helper, which alone may write to their volume.

Everything is in a snapshot: ignored files, empty directories, modes, links, times, nested repositories. Left out are
sockets and devices, and the platform's own gitdir; two hard links of a file come back as two files.

A snapshot holds what has changed since the one before; the first of a workspace, and one now and then, holds all.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time

from refusals import Refused
from snapshot_restore import Restoring, check_whole
from snapshot_scan import Scan, changes
from snapshot_store import Store
from snapshot_tree import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root
    from snapshot_tree import Row

MAX_CHAIN = 500
SMALL_CHAIN = 1 << 15
HEAD, INDEX = "HEAD", "index"
INDEX_AFTER = 200
"""So many files read since the index was written are worth another: a helper that starts anew reads only those."""
_lock = threading.Lock()


class Newest:
    """The newest snapshot of a workspace, the size of its file, and what is known of the files."""

    def __init__(self, snapshot: dict[str, Any], size: int, top: Folder) -> None:
        self.snapshot = {name: value for name, value in snapshot.items() if name not in ("rows", "gone")}
        self.size = size
        self.top = top
        self.unindexed = 0


_state: dict[str, Any] = {}


def _store() -> Store:
    if "store" not in _state:
        try:
            _state["store"] = Store()
        except OSError as failure:
            raise Refused("INVALID_ARGUMENT", "snapshots are taken in a helper only") from failure
    store: Store = _state["store"]
    return store


def take(root: Root, workspace_id: str, label: str = "", key: str = "") -> dict[str, Any]:
    """Keep the workspace as it is now. A ``key`` names the snapshot, so that a repeat takes no second one.

    Where nothing has changed since the newest, that is the answer, unless a ``label`` asks for one of its own.
    """
    with _lock, _store().held():
        return _taken(root, workspace_id, label, key)


def _taken(root: Root, workspace: str, label: str, key: str) -> dict[str, Any]:
    store = _store()
    snapshot_id = hashlib.sha256(key.encode()).hexdigest()[:32] if key else os.urandom(16).hex()
    if key and store.has_name(workspace, snapshot_id):
        return _told(store.snapshot(workspace, snapshot_id), 0, 0)
    newest, before = _newest(store, workspace), store.written
    scan, top = _scanned(store, root, newest)
    if newest is not None and newest.top is top and not label:
        newest.unindexed += scan.read
        if newest.unindexed > INDEX_AFTER:
            _index(store, workspace, newest)
        return _told(newest.snapshot, scan.read, 0)
    store.keep()
    snapshot: dict[str, Any] = {
        "id": snapshot_id,
        "tree": top.sha256,
        "entries": scan.entries,
        "bytes": scan.bytes,
        "left_out": scan.left_out,
        "label": label,
        "at": time.time(),
        **_since(newest, top),
    }
    size = store.put(workspace, snapshot_id, json.dumps(snapshot, separators=(",", ":")).encode())
    store.put(workspace, HEAD, snapshot_id.encode())
    kept = _state[workspace] = Newest(snapshot, size, top)
    kept.unindexed = scan.read + (newest.unindexed if newest is not None else 0)
    told = _told(snapshot, scan.read, store.written - before)
    if kept.unindexed > INDEX_AFTER:
        _index(store, workspace, kept)
    return told


def _since(newest: Newest | None, top: Folder) -> dict[str, Any]:
    """What to write of a tree: its changes since the newest snapshot, or all of it when those add up to as much."""
    rows: list[Row] = []
    gone: list[str] = []
    if newest is not None:
        last = newest.snapshot
        full, chain = (last["full"], last["chain"] + newest.size) if last["parent"] else (newest.size, 0)
        if chain <= max(full, SMALL_CHAIN) and last["depth"] < MAX_CHAIN:
            changes(newest.top, top, "", rows, gone)
            more = {"parent": last["id"], "depth": last["depth"] + 1, "full": full, "chain": chain}
            return {**more, "rows": rows, "gone": gone}
    changes(None, top, "", rows, gone)
    return {"parent": "", "depth": 0, "full": 0, "chain": 0, "rows": rows, "gone": gone}


def _told(snapshot: dict[str, Any], read: int, stored: int) -> dict[str, Any]:
    told = {name: snapshot[name] for name in ("tree", "entries", "bytes", "left_out")}
    return {"snapshot_id": snapshot["id"], "read": read, "stored": stored, **told}


def _scanned(store: Store, root: Root, newest: Newest | None) -> tuple[Scan, Folder]:
    if store.swept() and newest is not None:
        _forget_missing(store, newest.top)
    scan = Scan(store)
    fd = root.open_directory(".", follow=False)
    try:
        return scan, scan.folder(fd, 0, newest.top if newest is not None else None)
    except OSError as failure:
        raise Refused("INTERNAL", "the workspace can't be read: %s" % failure) from failure
    finally:
        os.close(fd)


def _forget_missing(store: Store, folder: Folder) -> None:
    """After a sweep: read those files again whose contents went."""
    for name in [name for name in folder.facts if not store.has(folder.rows[name][3])]:
        del folder.facts[name]
    for below in folder.folders.values():
        _forget_missing(store, below)


def _newest(store: Store, workspace: str) -> Newest | None:
    """What this helper knows, or what one before it has left."""
    if workspace in _state:
        newest: Newest = _state[workspace]
        if store.has_name(workspace, newest.snapshot["id"]):
            return newest
        del _state[workspace]
    head = store.get(workspace, HEAD)
    if head is None:
        return None
    try:
        snapshot, top = store.tree(workspace, head.decode())
    except Refused:
        return None
    index = json.loads(store.get(workspace, INDEX) or b"{}")
    for path, folder in top.every(""):
        for name, (facts, row) in index.get(path, {}).items():
            if folder.rows.get(name) == row and store.has(row[3]):
                folder.facts[name] = tuple(facts)
    newest = _state[workspace] = Newest(snapshot, store.size(workspace, snapshot["id"]), top)
    return newest


def _index(store: Store, workspace: str, newest: Newest) -> None:
    index = {
        path: {name: (facts, folder.rows[name]) for name, facts in folder.facts.items()}
        for path, folder in newest.top.every("")
        if folder.facts
    }
    store.put(workspace, INDEX, json.dumps(index, separators=(",", ":")).encode())
    newest.unindexed = 0


def restore(root: Root, workspace_id: str, snapshot_id: str, key: str = "") -> dict[str, Any]:
    """Make the workspace what it was. First a snapshot is taken, so that this can be undone.

    The ``key`` of a restore that is repeated after a kill names what was there before the first try.
    """
    with _lock, _store().held():
        store = _store()
        store.swept()
        _snapshot, wanted = store.tree(workspace_id, snapshot_id)
        check_whole(store, wanted)
        undo = _taken(root, workspace_id, "before restoring " + snapshot_id, key)
        _scan, now = _scanned(store, root, _newest(store, workspace_id))
        restoring = Restoring(store)
        fd = root.open_directory(".", follow=False)
        try:
            restoring.folder(fd, now, wanted)
        except OSError as failure:
            raise Refused(
                "INTERNAL",
                "the workspace could be restored in part only: %s" % failure,
                "restore %s to have it as it was before" % undo["snapshot_id"],
            ) from failure
        finally:
            os.close(fd)
        return {"undo_id": undo["snapshot_id"], "changed": restoring.changed}
