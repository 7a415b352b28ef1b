"""Where snapshots lie: a volume of the project, where no agent can write. ADR 0023 tells what is in it.

``objects`` are contents under their sha256, packed; ``names/WORKSPACE/ID`` is a snapshot. All that read or write hold
``lock`` together; only the sweep of ``snapshot_prune`` holds it alone. A lock ends with its process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import zlib

from refusals import Refused
from snapshot_packs import Pack, places_of
from snapshot_tree import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Generator, Iterator
    from typing import Any

STORE = "/snapshots"
CHUNK = 1 << 19
FEW, SMALL = 64, 8 << 20
"""More new contents than these go into a pack."""
LISTED = "+"
INCOMING = "incoming-"
ID = re.compile(r"[0-9a-f]{32}")
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
DAMAGED = "the store of snapshots is damaged"


class Store:
    """Contents by their hash, snapshots by workspace and id."""

    def __init__(self, folder: str = STORE) -> None:
        self.folder = folder
        self._known: set[str] = set()
        self._packs: dict[str, dict[str, tuple[int, int]]] = {}
        self._packs_seen = 0
        self._generation = ""
        self._pending: dict[str, bytes] = {}
        self._pending_size = 0
        self._pack: Pack | None = None
        self.written = 0
        for name in ("objects", "packs", "names"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)

    @contextlib.contextmanager
    def held(self, *, alone: bool = False) -> Generator[None]:
        """Keep what is here from being swept; ``alone``: with nobody else at it."""
        fd = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            self._give_up()
            os.close(fd)

    def swept(self) -> bool:
        """Look what others did: learn of their packs; True when a sweep has removed contents since last time."""
        try:
            with open(os.path.join(self.folder, "generation")) as stream:
                generation = stream.read()
        except FileNotFoundError:
            generation = ""
        swept = generation != self._generation
        if swept:
            self._generation = generation
            self._known.clear()
            self._packs.clear()
            self._packs_seen = 0
        self._learn_packs()
        return swept

    def learn(self) -> None:
        """Look for packs, also for one that came within the tick of the clock at which was looked last."""
        self._packs_seen = 0
        self._learn_packs()

    def _learn_packs(self) -> None:
        folder = os.path.join(self.folder, "packs")
        changed = os.stat(folder).st_mtime_ns
        if changed != self._packs_seen:
            self._packs_seen = changed
            for name in set(os.listdir(folder)) - set(self._packs):
                self._packs[name] = places_of(os.path.join(folder, name))
                self._known.update(self._packs[name])

    def next_generation(self) -> None:
        """Say that objects are about to be removed."""
        self._place(os.urandom(16).hex().encode(), os.path.join(self.folder, "generation"))

    def path(self, sha256: str) -> str:
        """Return where an object lies that is in no pack."""
        return os.path.join(self.folder, "objects", sha256[:2], sha256)

    def has(self, kept: str) -> bool:
        """Whether an object is there."""
        sha256 = kept.lstrip(LISTED)
        if sha256 not in self._known and os.path.exists(self.path(sha256)):
            self._known.add(sha256)
        return sha256 in self._known

    def add(self, data: bytes) -> str:
        """Keep some bytes; return their hash. They are there for others after ``keep``."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._pending and not self.has(sha256):
            packed = _packed(data)
            if self._pack is not None:
                self._pack.add(sha256, packed)
                self._known.add(sha256)
                return sha256
            self._pending[sha256] = packed
            self._pending_size += len(packed)
            if len(self._pending) > FEW or self._pending_size > SMALL:
                self._begin_pack()
        return sha256

    def _begin_pack(self) -> None:
        number = os.urandom(16).hex()
        self._pack = Pack(
            os.path.join(self.folder, INCOMING + number), os.path.join(self.folder, "packs", number)
        )
        for sha256, packed in self._pending.items():
            self._pack.add(sha256, packed)
        self._known.update(self._pending)
        self._pending, self._pending_size = {}, 0

    def keep(self) -> None:
        """Write what was added: a few contents as files of their own, many as a pack."""
        if self._pack is not None:
            pack, self._pack = self._pack, None
            self.written += pack.finish()
            self._learn_packs()
        for sha256, packed in self._pending.items():
            place = self.path(sha256)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            self._place(packed, place)
            self._known.add(sha256)
        self._pending, self._pending_size = {}, 0

    def _give_up(self) -> None:
        """Forget what was added and not kept."""
        self._pending, self._pending_size = {}, 0
        if self._pack is not None:
            self._known.difference_update(self._pack.places)
            self._pack.give_up()
            self._pack = None

    def add_file(self, fd: int) -> tuple[str, int]:
        """Keep an open file's content; return by what it is found, and its size.

        A small one is kept as it is, a large one in pieces, so that a change costs its pieces.
        """
        data = _read(fd, CHUNK)
        if len(data) < CHUNK:
            return self.add(data), len(data)
        pieces: list[str] = []
        size = 0
        while data:
            pieces.append(self.add(data))
            size += len(data)
            data = _read(fd, CHUNK)
        return LISTED + self.add("\n".join(pieces).encode()), size

    def pieces(self, kept: str) -> list[str]:
        """Return the objects that a content is made of."""
        return self.load(kept[1:]).decode().split("\n") if kept.startswith(LISTED) else [kept]

    def content(self, kept: str) -> Iterator[bytes]:
        """Give a content piece by piece; raises Refused when it is not what it was."""
        for sha256 in self.pieces(kept):
            yield self.load(sha256)

    def load(self, sha256: str) -> bytes:
        """Return an object's bytes; raises Refused when it is not what it was."""
        try:
            data = _unpacked(self.raw(sha256))
        except (OSError, zlib.error) as failure:
            raise Refused("INTERNAL", DAMAGED) from failure
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("INTERNAL", DAMAGED)
        return data

    def raw(self, sha256: str) -> bytes:
        """Return an object as it lies there."""
        for name, places in self._packs.items():
            if sha256 in places:
                offset, size = places[sha256]
                with open(os.path.join(self.folder, "packs", name), "rb") as stream:
                    stream.seek(offset)
                    return stream.read(size)
        with open(self.path(sha256), "rb") as stream:
            return stream.read()

    def _place(self, data: bytes, place: str) -> None:
        """Write a file under its name in one go: what has a name is whole."""
        temporary = os.path.join(self.folder, INCOMING + os.urandom(8).hex())
        try:
            with open(temporary, "wb") as stream:
                stream.write(data)
            os.rename(temporary, place)
            self.written += len(data)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def names(self, workspace: str) -> str:
        """Return the directory of a workspace's snapshots."""
        if not _WORKSPACE.fullmatch(workspace):
            raise Refused("INVALID_ARGUMENT", "not a workspace's id")
        return os.path.join(self.folder, "names", workspace)

    def put(self, workspace: str, name: str, body: bytes) -> int:
        """Write a file of a workspace: a snapshot under its id, or what helps to take the next; return its size."""
        folder = self.names(workspace)
        os.makedirs(folder, exist_ok=True)
        data = zlib.compress(body, 1)
        self._place(data, os.path.join(folder, name))
        return len(data)

    def get(self, workspace: str, name: str) -> bytes | None:
        """Return a file of a workspace, None when there is none."""
        try:
            with open(os.path.join(self.names(workspace), name), "rb") as stream:
                return zlib.decompress(stream.read())
        except FileNotFoundError:
            return None
        except zlib.error as failure:
            raise Refused("INTERNAL", DAMAGED) from failure

    def has_name(self, workspace: str, name: str) -> bool:
        """Whether a workspace has a file of this name."""
        return os.path.exists(os.path.join(self.names(workspace), name))

    def size(self, workspace: str, name: str) -> int:
        """Return the size of a file of a workspace."""
        return os.stat(os.path.join(self.names(workspace), name)).st_size

    def snapshot(self, workspace: str, snapshot_id: str) -> dict[str, Any]:
        """Return what stands in a snapshot's file; raises Refused when there is no such snapshot."""
        body = self.get(workspace, snapshot_id) if ID.fullmatch(snapshot_id) else None
        if body is None:
            raise Refused("NOT_FOUND", "there is no such snapshot in this workspace")
        return json.loads(body)

    def tree(self, workspace: str, snapshot_id: str) -> tuple[dict[str, Any], Folder]:
        """Return a snapshot and its whole tree, made from the changes that lead to it."""
        self.learn()
        newest = self.snapshot(workspace, snapshot_id)
        chain, parent = [newest], newest["parent"]
        while parent:
            chain.append(self.snapshot(workspace, parent))
            parent = chain[-1]["parent"]
        top = Folder()
        while chain:
            top.change(chain.pop())
        if top.seal() != newest["tree"]:
            raise Refused("INTERNAL", DAMAGED)
        return newest, top


def _packed(data: bytes) -> bytes:
    small = zlib.compress(data, 1)
    return b"z" + small if len(small) < len(data) else b"r" + data


def _unpacked(data: bytes) -> bytes:
    return zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:]


def _read(fd: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit:
        part = os.read(fd, limit)
        if not part:
            break
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
