"""``/metrics``: this process's series, and in embedded mode those of the other processes beside them."""

from collections.abc import Iterable
from pathlib import Path

import anyio
import httpx2
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from hypercode.telemetry.metrics import PROCESS_UP

RELAYED = ("sandboxd", "tools", "verifier")
RELAY_TIMEOUT_S = 2.0


class Gathered(Collector):
    """The families of several processes as one exposition, each sample labelled with its process."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def add(self, process: str, families: Iterable[Metric]) -> None:
        for family in families:
            # The same family comes from several processes, but its type may be told only once.
            known = self._families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                known.samples.append(sample._replace(labels={"process": process, **sample.labels}))

    def collect(self) -> Iterable[Metric]:
        return self._families.values()


async def exposition(sockets: dict[str, Path]) -> bytes:
    """Return the text of all processes that answer; one that is not there is left out."""
    gathered = Gathered()
    texts = dict[str, str]()

    async def fetch(process: str, socket: Path) -> None:
        text = await _fetch(socket)
        if text is not None:
            texts[process] = text

    async with anyio.create_task_group() as group:
        for process, socket in sockets.items():
            group.start_soon(fetch, process, socket)
    for process, socket in sockets.items():
        # Elsewhere than on this machine there is no socket, and Prometheus asks the process itself.
        if socket.exists():
            PROCESS_UP.labels(process).set(process in texts)
    gathered.add("gateway", REGISTRY.collect())
    for process in sorted(texts):
        gathered.add(process, text_string_to_metric_families(texts[process]))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(gathered)
    return generate_latest(registry)


async def _fetch(socket: Path) -> str | None:
    answer = await ask(socket, "/metrics")
    return answer.text if answer is not None and answer.status_code == 200 else None


async def ask(socket: Path, path: str) -> httpx2.Response | None:
    """GET a path from a process's unix socket; None when nobody answers there."""
    if not socket.exists():
        return None
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    try:
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://process", timeout=RELAY_TIMEOUT_S
        ) as client:
            return await client.get(path)
    except httpx2.HTTPError:
        return None
