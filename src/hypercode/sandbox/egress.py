"""Egress for imports and builders: an allow-listing CONNECT proxy in a container of its own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hypercode.domain.errors import Unavailable
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.profiles import Mount
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings


@dataclass(frozen=True)
class EgressLink:
    """What a container needs to reach the proxy."""

    mounts: list[Mount] = field(default_factory=list[Mount])
    importer: dict[str, Any] = field(default_factory=dict[str, Any])


class Egress:
    """Opens ways out, each for a fixed list of hosts."""

    def __init__(self, engine: Engine, runtime: RuntimeVolumes, settings: SandboxSettings) -> None:
        self._engine = engine
        self._runtime = runtime
        self._settings = settings

    @asynccontextmanager
    async def opened(self, hosts: list[str]) -> AsyncGenerator[EgressLink]:
        """Open a way out to ``hosts`` for as long as the block lasts."""
        raise Unavailable("not built yet")
        yield EgressLink()
