"""Egress for imports and builders: an allow-listing CONNECT proxy in a container of its own.

The container that uses it has no network; it sees a unix socket on a shared volume and the certificates.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hypercode.sandbox.engine import Engine, pack
from hypercode.sandbox.indexes import certificate_bundle
from hypercode.sandbox.names import labels_of
from hypercode.sandbox.profiles import ContainerSpec, Mount, proxy_config, python
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings


@dataclass(frozen=True)
class EgressLink:
    """What a container mounts to reach the proxy."""

    mounts: list[Mount]


class Egress:
    """Opens ways out, each for a fixed list of hosts."""

    def __init__(
        self, engine: Engine, runtime: RuntimeVolumes, settings: SandboxSettings, instance: str
    ) -> None:
        self._engine = engine
        self._labels = labels_of(instance, "egress")
        self._runtime = runtime
        self._settings = settings

    @asynccontextmanager
    async def opened(self, hosts: list[str], *, public_only: bool = False) -> AsyncGenerator[EgressLink]:
        """Open a way out to ``hosts`` for as long as the block lasts; ``public_only`` refuses private ones."""
        runtime = await self._runtime.ensure()
        name = f"hypercode-egress-{secrets.token_hex(8)}"
        asked = json.dumps({"hosts": sorted(set(hosts)), "public_only": public_only})
        spec = ContainerSpec(
            image=runtime.base_image,
            argv=python("runner/egress_proxy.py", asked),
            mounts=[*runtime.mounts, Mount(name, "/egress")],
            labels=self._labels,
            memory_mb=256,
        )
        try:
            await self._engine.create_volume(name, self._labels)
            await self._engine.create(name, proxy_config(spec, self._settings))
            bundle = await asyncio.to_thread(certificate_bundle)
            if bundle is not None:
                await self._engine.put(name, "/egress", pack([("ca.pem", bundle)]))
            await self._engine.start(name)
            yield EgressLink(mounts=[Mount(name, "/egress", True)])
        finally:
            await asyncio.shield(self._close(name))

    async def _close(self, name: str) -> None:
        await self._engine.remove(name)
        await self._engine.remove_volume(name)
