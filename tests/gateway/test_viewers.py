"""Watchers over two real gateways: each event once and in order, whatever breaks between; and what a slow one costs."""

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
from anyio import fail_after
from sqlalchemy import text
from tests.fixtures.flaky import FlakyWay, flaky_way
from tests.fixtures.gateways import GatewayProcess, gateway_processes, token_for
from tests.fixtures.rows import make_run
from tests.fixtures.viewer import Viewer

from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.store.database import Database

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
WRITERS = 4
EVENTS = 600
VIEWERS = 4
RECONNECTS = 100
LARGE = 8_000
SLOW = 20


@pytest.fixture(scope="module")
def gateways(own_database_url: str) -> Iterator[list[GatewayProcess]]:
    with (
        tempfile.TemporaryDirectory(prefix="hc-gw-", dir="/tmp") as directory,
        gateway_processes(own_database_url, Path(directory), 2) as started,
    ):
        yield started


@pytest.fixture
async def own(own_database_url: str) -> AsyncIterator[Database]:
    database = Database(own_database_url)
    yield database
    await database.dispose()


async def append(database: Database, run_id: str, key: str, count: int = 1, message: str = "x") -> None:
    notices = [NoticeRaised(level="info", code="N", message=message, hint="") for _ in range(count)]
    async with database.transaction() as session:
        await log.append(session, run_id, key, notices)


@pytest.mark.promise(10)
async def test_a_hundred_broken_connections_over_two_gateways_lose_and_double_nothing(
    own: Database, gateways: list[GatewayProcess]
) -> None:
    run_id = await make_run(own)
    token = await token_for(own, run_id)
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_limit(180))
        ways: list[FlakyWay] = [
            await stack.enter_async_context(flaky_way(gateway.port, chance)) for gateway in gateways
        ]
        ports = [way.port for way in ways]
        viewers = [Viewer(run_id, token, ports, random.Random(number)) for number in range(VIEWERS)]
        following = [asyncio.create_task(viewer.follow(EVENTS)) for viewer in viewers]

        async def write(writer: int) -> None:
            for number in range(EVENTS // WRITERS):
                await append(own, run_id, f"w{writer}:{number}")

        await asyncio.gather(*(write(writer) for writer in range(WRITERS - 1)))
        # The gateways' own connections break as well, the ones that wake-ups come by among them.
        async with own.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
                )
            )
        await write(WRITERS - 1)
        await asyncio.gather(*following)
    assert [viewer.seen for viewer in viewers] == [list(range(1, EVENTS + 1))] * VIEWERS
    assert sum(way.cuts for way in ways) >= RECONNECTS
    assert all(way.cuts > 10 for way in ways)


def _limit(seconds: float):
    stack = AsyncExitStack()
    stack.enter_context(fail_after(seconds))
    return stack


def unread(port: int, run_id: str, token: str) -> socket.socket:
    """A client that asks for a stream and then reads nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(
        f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    return client


async def read_to_the_end(client: socket.socket) -> tuple[list[int], str]:
    """What a client finds when it does read: the seqs, and the name of the last message."""
    client.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=client)
    seqs: list[int] = []
    name = ""
    while line := (await reader.readline()).decode():
        if line.startswith("id: "):
            seqs.append(int(line.removeprefix("id: ")))
        elif line.startswith("event: "):
            name = line.removeprefix("event: ").strip()
            if name == "reset":
                break
    writer.close()
    return seqs, name


async def test_clients_that_do_not_read_cost_little_and_go_on_from_their_cursor(
    own: Database, gateways: list[GatewayProcess]
) -> None:
    run_id = await make_run(own)
    token = await token_for(own, run_id)
    gateway, other = gateways
    process = psutil.Process(gateway.pid)
    await append(own, run_id, "first")
    clients = [unread(gateway.port, run_id, token) for _ in range(SLOW)]
    # Each follows before much is there to follow: what comes is for the tail to hand out.
    for client in clients:
        assert client.recv(1)
    before = process.memory_info().rss
    most = 0
    total = 1
    with fail_after(120):
        for step in range(60):
            await append(own, run_id, f"s{step}", 25, "y" * LARGE)
            total += 25
            most = max(most, process.memory_info().rss)
        sent = total * LARGE
        assert most - before < sent * SLOW / 5, (most - before, sent)
        # What a client holds: a batch, what its connection buffers, and its share of one tail.
        assert most - before < 60e6
        seqs, name = await read_to_the_end(clients[0])
        assert name == "reset"
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) < total
        viewer = Viewer(run_id, token, [other.port], random.Random(1))
        viewer.seen.append(seqs[-1])
        await viewer.follow(total)
    assert seqs + viewer.seen[1:] == list(range(1, total + 1))
    for client in clients[1:]:
        client.close()
