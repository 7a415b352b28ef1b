"""fs_apply_patch, fs_move, fs_delete, fs_snapshot, fs_restore: changes of more than one file's text."""

import base64
from typing import Literal

from pydantic import Field, model_validator

from hypercode.domain.errors import Conflict, HyperCodeError, InvalidArgument, NotFound, TooLarge
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import ReadResult
from hypercode.sandbox.files import ChangeRequest, DeleteRequest, FileChange, MoveRequest
from hypercode.sandbox.worktrees import RestoreSnapshot, TakeSnapshot
from hypercode.tools.patch_text import read_patch, touched_paths
from hypercode.tools.patches import FilePatch, Rejected, apply_patch
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.workspace import MAX_FILE, decode_text

MAX_PATCH = 1024 * 1024
MAX_BYTES = 32 * 1024 * 1024


class PatchArguments(Arguments):
    """A unified diff, or the *** Begin Patch form; all of it is applied, or nothing."""

    patch: str = Field(min_length=1, max_length=MAX_PATCH, description="A unified diff, or *** Begin Patch.")
    dry_run: bool = Field(default=False, description="Only say what would be done.")
    strict: bool = Field(
        default=True,
        description="Lines must be exactly as the patch has them; false: white space at line ends and wrong line"
        " counts do not matter, and the nearest place is taken.",
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> "PatchArguments":
        self.files()
        return self

    def files(self) -> list[FilePatch]:
        """What the patch asks for."""
        return read_patch(self.patch, strict=self.strict)

    def touched(self) -> Touched:
        """Every file that is written, removed or renamed."""
        return Touched(
            paths=tuple(touched_paths(self.files())), size=len(self.patch.encode("utf-8", "replace"))
        )


class PatchedFile(Closed):
    """What happens to one file; ``path`` is its new one when it is renamed."""

    path: str
    status: Literal["added", "modified", "deleted", "renamed"]
    hunks: int


class RejectedFile(Closed):
    """A file whose part of the patch does not fit, and why."""

    path: str
    reason: str


class Patched(Closed):
    """What was done; with ``dry_run`` what would be done, and what is in the way."""

    files: list[PatchedFile]
    rejected: list[RejectedFile]
    applied: bool


async def fs_apply_patch(context: ToolContext, args: PatchArguments) -> ToolReply:
    """Apply a patch; raises Conflict naming what does not fit."""
    changes: list[FileChange] = []
    rejected: list[RejectedFile] = []
    patches = args.files()
    for patch in patches:
        try:
            changes += await _changes(context, patch, args.strict)
        except Rejected as why:
            rejected.append(RejectedFile(path=patch.path, reason=str(why)))
    if sum(len(each.data_b64 or "") for each in changes) > MAX_BYTES:
        raise TooLarge("the files that the patch changes are larger than 24 MiB together")
    if not args.dry_run:
        if rejected:
            words = "; ".join(f"{each.path}: {each.reason}" for each in rejected[:5])
            raise Conflict(
                f"the patch does not fit, nothing was changed: {words}", hint="Read the files again."
            )
        await context.sandboxes.change(ChangeRequest(sandbox_id=context.sandbox, changes=changes))
    bad = {each.path for each in rejected}
    files = [
        PatchedFile(path=patch.target or patch.path, status=patch.status, hunks=len(patch.hunks))
        for patch in patches
        if patch.path not in bad
    ]
    lines = [f"{each.status} {each.path}" for each in files]
    lines += [f"does not fit: {each.path}: {each.reason}" for each in rejected]
    head = "Would change" if args.dry_run else "Changed"
    text = cap_text(f"{head}:\n" + "\n".join(lines))[0]
    return ToolReply(Patched(files=files, rejected=rejected, applied=not args.dry_run), text)


async def _changes(context: ToolContext, patch: FilePatch, strict: bool) -> list[FileChange]:
    """Work out what one file becomes; raises Rejected."""
    found = await _read(context, patch.path)
    if patch.action == "add":
        if found is not None:
            raise Rejected("it is there already")
        data = _encoded(apply_patch(patch, "", strict=strict))
        return [FileChange(action="write", path=patch.path, data_b64=data, mode=patch.mode, if_sha256="")]
    if found is None:
        raise Rejected("there is no such file")
    if found.size > MAX_FILE:
        raise Rejected(f"it has {found.size} bytes, more than a patch may change")
    guard = found.sha256
    if patch.action == "delete":
        if patch.checked:
            apply_patch(patch, _text(patch.path, found), strict=strict)
        return [FileChange(action="delete", path=patch.path, if_sha256=guard)]
    if patch.target is not None and await _read(context, patch.target) is not None:
        raise Rejected(f"{patch.target} is there already")
    return _updated(patch, found, guard, strict)


def _updated(patch: FilePatch, found: ReadResult, guard: str, strict: bool) -> list[FileChange]:
    if not patch.hunks:
        return _header_only(patch, guard)
    data = _encoded(apply_patch(patch, _text(patch.path, found), strict=strict))
    mode = found.mode if patch.mode is None else patch.mode
    if patch.target is None:
        return [FileChange(action="write", path=patch.path, data_b64=data, mode=mode, if_sha256=guard)]
    return [
        FileChange(action="write", path=patch.target, data_b64=data, mode=mode, if_sha256=""),
        FileChange(action="delete", path=patch.path, if_sha256=guard),
    ]


def _header_only(patch: FilePatch, guard: str) -> list[FileChange]:
    """A rename without a change, a new mode, or both."""
    changes: list[FileChange] = []
    if patch.target is not None:
        changes.append(FileChange(action="rename", path=patch.path, target=patch.target, if_sha256=guard))
    if patch.mode is not None:
        place = patch.target or patch.path
        changes.append(FileChange(action="mode", path=place, mode=patch.mode, if_sha256=guard))
    if not changes:
        raise Rejected("the patch changes nothing in it")
    return changes


async def _read(context: ToolContext, path: str) -> ReadResult | None:
    """Read a file, None when nothing is there; a path that leaves the workspace is the whole call's error."""
    try:
        return await context.sandboxes.read(context.sandbox, path, 0, MAX_FILE)
    except NotFound:
        return None
    except InvalidArgument as error:
        raise Rejected(error.message) from error


def _text(path: str, found: ReadResult) -> str:
    data = base64.b64decode(found.data_b64)
    if b"\0" in data:
        raise Rejected("it is a binary file")
    try:
        return decode_text(path, data)
    except HyperCodeError as error:
        raise Rejected(error.message) from error


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


class MoveArguments(Arguments):
    """From where to where; directories above the target are made, and nothing is overwritten."""

    source: WorkspacePath
    target: WorkspacePath

    def touched(self) -> Touched:
        """Both ends."""
        return Touched(paths=(self.source, self.target))


class Moved(Closed):
    """Where it is now."""

    source: str
    target: str


async def fs_move(context: ToolContext, args: MoveArguments) -> ToolReply:
    """Rename a file or directory; raises Conflict when the target exists."""
    await context.sandboxes.move(
        MoveRequest(sandbox_id=context.sandbox, source=args.source, target=args.target)
    )
    return ToolReply(Moved(source=args.source, target=args.target), f"Moved {args.source} to {args.target}.")


class DeleteArguments(Arguments):
    """What to delete; a link is deleted itself, not what it leads to."""

    path: WorkspacePath
    recursive: bool = Field(default=False, description="Delete a directory with everything in it.")

    def touched(self) -> Touched:
        """The path."""
        return Touched(paths=(self.path,))


class Deleted(Closed):
    """How many files, links and directories went."""

    path: str
    deleted: int


async def fs_delete(context: ToolContext, args: DeleteArguments) -> ToolReply:
    """Delete a file, a link or a directory."""
    done = await context.sandboxes.delete(
        DeleteRequest(sandbox_id=context.sandbox, path=args.path, recursive=args.recursive)
    )
    return ToolReply(Deleted(path=args.path, deleted=done.deleted), f"Deleted {args.path} ({done.deleted}).")


class SnapshotArguments(Arguments):
    """A word for people about what the snapshot is for."""

    label: str = Field(default="", max_length=200)


class SnapshotMade(Closed):
    """The snapshot's id, for fs_restore; ``left_out`` counts sockets and devices."""

    snapshot_id: str
    entries: int
    bytes: int
    left_out: int


async def fs_snapshot(context: ToolContext, args: SnapshotArguments) -> ToolReply:
    """Keep the whole workspace as it is now."""
    taken = await context.sandboxes.snapshot_take(
        TakeSnapshot(workspace_id=context.grant.workspace_id, label=args.label)
    )
    result = SnapshotMade(
        snapshot_id=taken.snapshot_id, entries=taken.entries, bytes=taken.bytes, left_out=taken.left_out
    )
    return ToolReply(result, f"Snapshot {taken.snapshot_id}: {taken.entries} entries, {taken.bytes} bytes.")


class RestoreArguments(Arguments):
    """Which snapshot."""

    snapshot_id: str = Field(pattern=r"^[0-9a-f]{32}$")

    def touched(self) -> Touched:
        """Anything in the workspace may change."""
        return Touched(paths=(".",))


class SnapshotBack(Closed):
    """``undo_id`` is a snapshot of what was there before; restoring it undoes this."""

    snapshot_id: str
    undo_id: str
    changed: int


async def fs_restore(context: ToolContext, args: RestoreArguments) -> ToolReply:
    """Make the workspace what it was at a snapshot; what is not in it goes."""
    done = await context.sandboxes.snapshot_restore(
        RestoreSnapshot(workspace_id=context.grant.workspace_id, snapshot_id=args.snapshot_id)
    )
    result = SnapshotBack(snapshot_id=args.snapshot_id, undo_id=done.undo_id, changed=done.changed)
    text = f"Restored; {done.changed} entries changed. To undo it restore {done.undo_id}."
    return ToolReply(result, text)


CHANGING_TOOLS = (
    Tool(
        "fs_apply_patch",
        "Apply a patch to any number of files: all of it, or nothing.",
        PatchArguments,
        Patched,
        fs_apply_patch,
        read_only=False,
        destructive=True,
        errors=("CONFLICT", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_move",
        "Rename or move a file or directory; nothing is overwritten.",
        MoveArguments,
        Moved,
        fs_move,
        read_only=False,
        errors=("CONFLICT", "NOT_FOUND", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_delete",
        "Delete a file, a link itself, or a directory.",
        DeleteArguments,
        Deleted,
        fs_delete,
        read_only=False,
        destructive=True,
        errors=("CONFLICT", "NOT_FOUND", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_snapshot",
        "Keep the whole workspace as it is now, ignored files and all, to come back to it with fs_restore.",
        SnapshotArguments,
        SnapshotMade,
        fs_snapshot,
        read_only=False,
        repeatable=True,
    ),
    Tool(
        "fs_restore",
        "Make the whole workspace what it was at a snapshot. It can be undone: see undo_id.",
        RestoreArguments,
        SnapshotBack,
        fs_restore,
        read_only=False,
        destructive=True,
        idempotent=True,
        errors=("NOT_FOUND",),
    ),
)
"""The group's tools."""
