"""Removes what no snapshot needs any more. Killed at any moment it leaves more than it should, never less.

First names go, those that the platform no longer knows; then, alone at the store, the contents that no name leads to.
"""

from __future__ import annotations

import contextlib
import os
import re
import time

from snapshot_packs import Pack, places_of
from snapshot_store import ID, INCOMING, LISTED, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

YOUNG_S = 600.0
"""A name this young may be about to be written down: it stays, whatever was asked."""
_OBJECT = re.compile(r"[0-9a-f]{64}")


def names(store: Store) -> dict[str, list[str]]:
    """Return the ids of all snapshots, by workspace."""
    folder = os.path.join(store.folder, "names")
    found: dict[str, list[str]] = {}
    for workspace in sorted(os.listdir(folder)):
        ids = [name for name in os.listdir(os.path.join(folder, workspace)) if ID.fullmatch(name)]
        found[workspace] = sorted(ids)
    return found


def prune(store: Store, drop: dict[str, list[str]], young_s: float = YOUNG_S) -> dict[str, Any]:
    """Remove names, but those that others are made from, and then what nothing leads to; return how much went."""
    with store.held(alone=True):
        dropped = sum(
            _drop(store, workspace, set(ids), time.time() - young_s) for workspace, ids in drop.items()
        )
    with store.held():
        live, seen = _live(store, set())
    with store.held(alone=True):
        # What was taken meanwhile counts too.
        live |= _live(store, seen)[0]
        objects, size = _sweep(store, live)
    return {"names": dropped, "objects": objects, "bytes": size}


def _drop(store: Store, workspace: str, ids: set[str], before: float) -> int:
    folder = store.names(workspace)
    if not os.path.isdir(folder):
        return 0
    present = {name for name in os.listdir(folder) if ID.fullmatch(name)}
    going = {each for each in ids & present if os.stat(os.path.join(folder, each)).st_mtime < before}
    for each in present - going:
        parent = store.snapshot(workspace, each)["parent"]
        while parent in going:
            going.discard(parent)
            parent = store.snapshot(workspace, parent)["parent"]
    if going and going == present:
        # Nothing is left to go on from: with its names the workspace goes.
        for name in os.listdir(folder):
            _unlink(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
        return len(going)
    # The newest first: a name that is there always has those there that it is made from.
    for each in sorted(going, key=lambda each: store.snapshot(workspace, each)["depth"], reverse=True):
        _unlink(os.path.join(folder, each))
    return len(going)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _live(store: Store, skip: set[str]) -> tuple[set[str], set[str]]:
    """Return the contents that snapshots lead to, and which snapshots were looked at; ``skip`` were before."""
    store.learn()
    live: set[str] = set()
    seen: set[str] = set()
    for workspace, ids in names(store).items():
        for each in ids:
            seen.add(workspace + "/" + each)
            if workspace + "/" + each not in skip:
                live.update(row[4] for row in store.snapshot(workspace, each)["rows"] if row[1] == "file")
    for kept in [kept for kept in live if kept.startswith(LISTED)]:
        live.discard(kept)
        live.add(kept[1:])
        live.update(store.pieces(kept))
    return live, seen


def _sweep(store: Store, live: set[str]) -> tuple[int, int]:
    """Remove contents that are not live; said before it is done, so that no helper believes them to be there."""
    store.next_generation()
    removed, size = 0, 0
    for name in os.listdir(store.folder):
        if name.startswith(INCOMING):
            # Alone at the store: whoever was writing it is gone.
            _unlink(os.path.join(store.folder, name))
    for folder, _names, files in os.walk(os.path.join(store.folder, "objects")):
        for name in files:
            if _OBJECT.fullmatch(name) and name not in live:
                path = os.path.join(folder, name)
                removed, size = removed + 1, size + os.stat(path).st_size
                _unlink(path)
    for name in sorted(os.listdir(os.path.join(store.folder, "packs"))):
        count, freed = _sweep_pack(store, name, live)
        removed, size = removed + count, size + freed
    return removed, size


def _sweep_pack(store: Store, name: str, live: set[str]) -> tuple[int, int]:
    """Remove a pack nothing of which is live; write one anew of which less than half is."""
    path = os.path.join(store.folder, "packs", name)
    places = places_of(path)
    needed = {sha256: place for sha256, place in places.items() if sha256 in live}
    whole = sum(size for _offset, size in places.values())
    kept = sum(size for _offset, size in needed.values())
    if needed and 2 * kept >= whole:
        return 0, 0
    if needed:
        number = os.urandom(16).hex()
        pack = Pack(
            os.path.join(store.folder, INCOMING + number), os.path.join(store.folder, "packs", number)
        )
        with open(path, "rb") as stream:
            for sha256, (offset, size) in needed.items():
                stream.seek(offset)
                pack.add(sha256, stream.read(size))
        pack.finish()
    _unlink(path)
    return len(places) - len(needed), whole - kept
