"""kill -9 over the real chain: processes that are killed at random moments, and clients that call until they know."""

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hypercode.agents.intent import ToolOutcome
from hypercode.agents.mcp_client import ToolSession
from hypercode.cli.children import Child, ChildSpec, Starter
from hypercode.domain.errors import Unavailable
from hypercode.store.tables import RunRow

if TYPE_CHECKING:
    from storm_person import Person

LATEST_ANSWER = 40
LATEST_KILL_S = 0.25
LATEST_START_S = 1.5
LONGEST_WAIT_S = 3.0
TOKEN = "k:{};"
"""What an effect leaves where it can be counted."""


def token(key: str) -> str:
    """The trace of the call with this key."""
    return TOKEN.format(key)


class Killable:
    """``hypercode NAME``, started as ``hypercode up`` starts it; all that it ever logged is in one file."""

    def __init__(self, starter: Starter, name: str, variables: dict[str, str], socket: Path) -> None:
        self._starter, self._variables = starter, variables
        self._spec = ChildSpec(name, (name,), socket)
        self.up = anyio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Child]:
        """The process; what still runs at the end is stopped."""
        child = await self._starter.start(self._spec, self._variables)
        try:
            yield child
        finally:
            # Who waits for it goes on waiting when it was killed before it was up.
            self.up = anyio.Event() if self.up.is_set() else self.up
            with anyio.CancelScope(shield=True):
                await child.stop()

    async def ready(self, child: Child) -> None:
        """Return when it answers, and let the callers begin."""
        with anyio.fail_after(60):
            await child.ready()
        self.up.set()


@dataclass(frozen=True)
class Said:
    """What a call came to, and how often it was asked for."""

    run_id: str
    tool: str
    key: str
    outcome: ToolOutcome
    attempts: int
    arguments: dict[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        return self.outcome.ok

    @property
    def code(self) -> str:
        return self.outcome.code


class Storm:
    """The kills, and all that the callers were told; ``seed`` makes its dice."""

    def __init__(self, tools: Killable, socket: Path, person: "Person", seed: int) -> None:
        self.tools, self.socket, self.person = tools, socket, person
        self.dice = random.Random(seed)
        self.over = False
        self.said: list[Said] = []
        self.odd: list[str] = []
        self.must: set[str] = set()
        self.kills: Counter[str] = Counter()
        self._answers_left = 0
        self._answered = anyio.Event()

    def note(self, said: Said, expected: frozenset[str]) -> None:
        """Keep what a call came to, and mark what should not be."""
        self.said.append(said)
        if said.code not in expected:
            self.odd.append(f"{said.tool} {said.key} x{said.attempts} {said.code}: {said.outcome.text[:300]}")
        self._answers_left -= 1
        if self._answers_left <= 0:
            self._answered.set()

    async def blow(self, victim: Killable, rounds: int) -> None:
        """Start the victim and kill it, again and again: mostly in the middle of calls, sometimes while it starts."""
        for _ in range(rounds):
            async with victim.running() as child:
                if self.dice.random() < 0.1:
                    await anyio.sleep(self.dice.uniform(0, LATEST_START_S))  # the random moment itself
                    self.kills["starting"] += 1
                else:
                    await victim.ready(child)
                    await self._some_answers()
                    await anyio.sleep(self.dice.uniform(0, LATEST_KILL_S))
                    self.kills["working"] += 1
                os.kill(child.pid, signal.SIGKILL)
                await child.ended

    async def calm(self, victim: Killable, child: Child) -> None:
        """The victim is back for good: the callers come to their ends."""
        await victim.ready(child)
        self.over = True

    async def _some_answers(self) -> None:
        self._answered, self._answers_left = anyio.Event(), self.dice.randint(1, LATEST_ANSWER)
        with anyio.move_on_after(LONGEST_WAIT_S):
            await self._answered.wait()


@dataclass
class _Wish:
    tool: str
    arguments: dict[str, Any]
    key: str
    outcome: ToolOutcome | None = None
    attempts: int = 0
    done: anyio.Event = field(default_factory=anyio.Event)


class Caller:
    """A run's client: it holds a session, opens another when that is broken, and asks again with the same key."""

    def __init__(self, storm: Storm, run: RunRow, grant: str, name: str, mode: str) -> None:
        self.storm, self.run = storm, run
        self._grant, self._name, self._mode = grant, name, mode
        self._number = 0
        self._wishes: MemoryObjectSendStream[_Wish]
        self._taken: MemoryObjectReceiveStream[_Wish]
        self._wishes, self._taken = anyio.create_memory_object_stream[_Wish]()

    def key(self) -> str:
        """A fresh idempotency key."""
        self._number += 1
        return f"{self._name}-{self._number}"

    async def call(
        self, tool: str, /, key: str = "", *, expect: tuple[str, ...] = (), **arguments: Any
    ) -> Said:
        """Call until there is an outcome. Besides OK a call may come to what ``expect`` names, and no other."""
        wish = _Wish(tool, arguments, key or self.key())
        await self._wishes.send(wish)
        await wish.done.wait()
        assert wish.outcome is not None
        said = Said(self.run.id, tool, wish.key, wish.outcome, wish.attempts, arguments)
        self.storm.note(said, frozenset({"OK", *expect}))
        return said

    async def write(
        self, tool: str, /, key: str = "", *, expect: tuple[str, ...] = (), **arguments: Any
    ) -> Said:
        """A call with an effect that is not repeated: nobody may know what came of it."""
        return await self.call(tool, key, expect=("UNCERTAIN", *expect), **arguments)

    def close(self) -> None:
        """Nobody calls any more."""
        self._wishes.close()
        self._taken.close()

    async def serve(self) -> None:
        """Hold sessions, for as long as somebody calls."""
        wish: _Wish | None = None
        while True:
            await self.storm.tools.up.wait()
            try:
                async with ToolSession(self.storm.socket, self._grant, mode=self._mode) as tools:
                    while True:
                        wish = wish or await self._taken.receive()
                        wish.attempts += 1
                        wish.outcome = await tools.call(wish.tool, wish.arguments, key=wish.key)
                        wish.done.set()
                        wish = None
            except Unavailable:
                await anyio.lowlevel.checkpoint()


@contextlib.asynccontextmanager
async def calling(
    storm: Storm, run: RunRow, grant: str, name: str, mode: str = "auto"
) -> AsyncIterator[Caller]:
    """A caller that serves while the block lasts."""
    caller = Caller(storm, run, grant, name, mode)
    async with anyio.create_task_group() as group:
        group.start_soon(caller.serve)
        try:
            yield caller
        finally:
            group.cancel_scope.cancel()
            caller.close()
