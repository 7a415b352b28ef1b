"""Cleaning up after ourselves: what a crash left behind, by label and age; and everything, when asked to.

Only what carries this installation's label is ever touched: an engine is shared with other people's things.
"""

from datetime import datetime
from typing import Any, cast

from hypercode.sandbox.containers import Containers
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import LABELS, TTL_S, label, workspace_volumes
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings

SHORT_S = 3600.0  # a helper is started again at need; an import or a check has long ended
SHORT_LIVED = frozenset(["helper", "check", "build", "import", "egress", "make"])
LONG_LIVED_VOLUMES = frozenset(["workspace", "mirror", "snapshots"])


class Reaper:
    """Removes leftovers of one installation."""

    def __init__(
        self,
        engine: Engine,
        containers: Containers,
        runtime: RuntimeVolumes,
        settings: SandboxSettings,
        instance: str,
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._runtime = runtime
        self._short_s = max(SHORT_S, settings.build_timeout_s + 600)
        self._mine = label("instance", instance)

    async def sweep(self, now: float) -> int:
        """Remove leftovers as of ``now`` (seconds since the epoch); return how many."""
        # First the containers, then the volumes: a workspace opened in between is not taken for closed.
        containers = await self._engine.containers(self._mine)
        known = {str(volume["Name"]) for volume in await self._engine.volumes(self._mine)}
        removed = 0
        for found in containers:
            name = str(found["Names"][0]).lstrip("/")
            if self._is_leftover(found, known, now) and not self._containers.busy(name):
                await self._containers.discard(name)
                removed += 1
        removed += await self._sweep_images(now, known)
        return removed + await self._sweep_volumes(now)

    def _is_leftover(self, found: dict[str, Any], known: set[str], now: float) -> bool:
        labels = _labels(found)
        age = now - float(found["Created"])
        kind, workspace = labels.get(LABELS["kind"], ""), labels.get(LABELS["run"], "")
        if kind in SHORT_LIVED and age > self._short_s:
            return True
        if workspace and workspace_volumes(workspace)[1] not in known:
            return True
        return age > float(labels.get(LABELS["ttl"]) or TTL_S)

    async def _sweep_images(self, now: float, known: set[str]) -> int:
        """Remove images of agents whose workspace is gone, or whose time is over, and that nothing uses."""
        removed = 0
        for image in await self._engine.images(self._mine, label("kind", "image")):
            labels = _labels(image)
            kept = workspace_volumes(labels.get(LABELS["run"], ""))[1] in known
            if not kept or now - float(image["Created"]) > float(labels.get(LABELS["ttl"]) or TTL_S):
                removed += await self._engine.remove_unused_image(str(image["Id"]))
        return removed

    async def _sweep_volumes(self, now: float) -> int:
        """Remove old volumes that nothing uses: of checks and builds, and of versions that are no longer ours."""
        runtime = await self._runtime.ensure()
        current = {name for mount in runtime.mounts for name in (mount.source, f"{mount.source}.ready")}
        removed = 0
        # The marks of a finished volume go first, so that nobody takes a removed one for finished.
        found = await self._engine.volumes(self._mine, unused=True)
        for volume in sorted(found, key=lambda item: str(item["Name"]), reverse=True):
            name, kind = str(volume["Name"]), _labels(volume).get(LABELS["kind"], "")
            age = now - datetime.fromisoformat(str(volume["CreatedAt"])).timestamp()
            if kind in LONG_LIVED_VOLUMES or name in current or age <= self._short_s:
                continue
            removed += await self._engine.remove_unused_volume(name)
        return removed

    async def purge(self, *, images: bool) -> int:
        """Remove everything of this installation; what another one still uses stays."""
        removed = 0
        for found in await self._engine.containers(self._mine):
            await self._containers.discard(str(found["Names"][0]).lstrip("/"))
            removed += 1
        volumes = [str(volume["Name"]) for volume in await self._engine.volumes(self._mine)]
        for name in sorted(volumes, reverse=True):
            removed += await self._engine.remove_unused_volume(name)
        if images:
            for image in await self._engine.images(self._mine):
                removed += await self._engine.remove_image(str(image["Id"]))
        return removed


def _labels(found: dict[str, Any]) -> dict[str, str]:
    return cast(dict[str, str], found.get("Labels") or {})
