"""How much CPU time a container has used, read where the kernel counts it: a file, in microseconds and for next to nothing.

The engine's own statistics take a second. Where the kernel's files are not to be seen (sandboxd in a container, an engine
on another machine) nothing is said, rather than what the container says of itself.
"""

from pathlib import Path

from hypercode.sandbox.engine import Engine
from hypercode.sandbox.strict import Strict

CGROUPS = Path("/sys/fs/cgroup")
PLACES = (
    "docker/{id}/cpu.stat",
    "system.slice/docker-{id}.scope/cpu.stat",
    "cpuacct/docker/{id}/cpuacct.usage",
    "cpuacct/system.slice/docker-{id}.scope/cpuacct.usage",
    "cpu,cpuacct/docker/{id}/cpuacct.usage",
    "cpu,cpuacct/system.slice/docker-{id}.scope/cpuacct.usage",
)
"""By the container's id, with either driver, in version 2 and in version 1."""


class CpuSeen(Strict):
    """All that a container has used since it was started."""

    container: str
    whole_us: int


class CpuMeters:
    """The meters of containers by name; looks for each once."""

    def __init__(self, engine: Engine, cgroups: Path = CGROUPS) -> None:
        self._engine = engine
        self._cgroups = cgroups
        self._files: dict[str, tuple[str, Path]] = {}
        self._last: dict[str, CpuSeen] = {}

    async def read(self, name: str) -> CpuSeen | None:
        """Read the meter of the container that has this name now; None when it can't be seen."""
        for known in (True, False):
            if not known and not await self._find(name):
                return None
            container, file = self._files.get(name, ("", Path()))
            try:
                self._last[name] = CpuSeen(container=container, whole_us=_micros(file.read_text()))
            except (OSError, ValueError):
                self.forget(name)
                continue
            return self._last[name]
        return None

    def last(self, name: str) -> CpuSeen | None:
        """What was read last."""
        return self._last.get(name)

    def forget(self, name: str) -> None:
        """The container is gone, or about to be."""
        self._files.pop(name, None)
        self._last.pop(name, None)

    async def _find(self, name: str) -> bool:
        if not self._cgroups.is_dir():
            return False
        found = await self._engine.inspect(name)
        if found is None:
            return False
        places = (self._cgroups / place.format(id=found["Id"]) for place in PLACES)
        file = next((place for place in places if place.is_file()), None)
        if file is not None:
            self._files[name] = (str(found["Id"])[:12], file)
        return file is not None


def _micros(text: str) -> int:
    if text.startswith("usage_usec "):
        return int(text.split(maxsplit=2)[1])
    return int(text) // 1000
