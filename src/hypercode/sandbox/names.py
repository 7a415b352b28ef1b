"""Names of our things at the engine: every one starts with ``hypercode-`` and carries our labels."""

import re

from hypercode.domain.errors import InvalidArgument

LABELS = {
    key: f"dev.hypercode.{key}"
    for key in ("kind", "owner", "run", "instance", "ttl", "digest", "recipe", "image", "ports", "program")
}
TTL_S = 3 * 24 * 3600
"""Longer than a run may wait for a person: its container waits with it."""
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")


def checked_id(value: str) -> str:
    """Return an id that is fit to be a part of a volume's name; raises InvalidArgument."""
    if not _ID.fullmatch(value):
        raise InvalidArgument(f"not an id: {value[:80]!r}")
    return value


def labels_of(
    instance: str, kind: str, owner: str = "", workspace_id: str = "", *, ttl_s: int = TTL_S
) -> dict[str, str]:
    """Return the labels that say whose a thing is; nothing without them is ever cleaned up."""
    values = {"kind": kind, "owner": owner, "run": workspace_id, "instance": instance, "ttl": str(ttl_s)}
    return {LABELS[key]: value for key, value in values.items()}


def label(key: str, value: str) -> str:
    """Return a label filter."""
    return f"{LABELS[key]}={checked_id(value)}"


def mirror_volume(project_id: str) -> str:
    """Return the volume of a project's bare mirror."""
    return f"hypercode-mirror-{checked_id(project_id)}"


def snapshots_volume(project_id: str) -> str:
    """Return the volume of the snapshots of a project's workspaces; it outlives them."""
    return f"hypercode-snapshots-{checked_id(project_id)}"


def workspace_volumes(workspace_id: str) -> tuple[str, str]:
    """Return the volumes of a workspace: its work tree and its platform-owned gitdir."""
    checked_id(workspace_id)
    return f"hypercode-ws-{workspace_id}", f"hypercode-git-{workspace_id}"


def check_volume(number: str) -> str:
    """Return the volume of one check's work tree."""
    return f"hypercode-check-{checked_id(number)}"


def app_name(container_id: str) -> str:
    """Return the engine's name of a container that an agent started."""
    return f"hypercode-app-{container_id.removeprefix('ctr_')}"


def image_tag(image_id: str) -> str:
    """Return the engine's name of an image that a run built."""
    return f"hypercode-image:{image_id.removeprefix('img_')}"
