"""What a run asks a person, asked in the terminal; where there is none, refused at once: ``hypercode run`` never hangs."""

import asyncio
import sys
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

from hypercode.cli.show import plain
from hypercode.domain.approval import ApprovalScope, Decision
from hypercode.domain.errors import Conflict, PermissionDenied
from hypercode.domain.event import ApprovalRequested, BudgetReached, Event, PlanItemChanged, QuestionAsked
from hypercode.domain.question import MAX_ANSWER, Answer
from hypercode.domain.tool_call import Touched
from hypercode.events.approvals import decide_approval
from hypercode.events.live import LiveEvents
from hypercode.events.questions import answer_question
from hypercode.runs.top_up import give_up
from hypercode.settings import ApprovalSettings
from hypercode.store.database import Database
from hypercode.store.runs import get_run
from hypercode.store.users import ensure_local_user, to_domain

NOBODY = "Nobody is there to ask: this run has no terminal."
NEVER = "Nothing is approved in this run (--approve never)."
PLAINEST = "Choose the plainest reading of the task and name it."


class Approve(StrEnum):
    """Who is asked: the person at the terminal, nobody, or whoever opens the web page."""

    ASK = "ask"
    NEVER = "never"
    WAIT = "wait"


class Asking:
    """Asks for one task: its run, and the Coders' runs that it starts. One question at a time."""

    def __init__(
        self, database: Database, live: LiveEvents, settings: ApprovalSettings, approve: Approve
    ) -> None:
        self._database = database
        self._live = live
        self._settings = settings
        self._approve = approve
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def saw(self, event: Event) -> None:
        """Start what an event calls for."""
        if self._approve is Approve.WAIT:
            return
        match event.type:
            case ApprovalRequested.type:
                self._start(self._decide(ApprovalRequested.model_validate(event.payload)))
            case QuestionAsked.type:
                self._start(self._answer(QuestionAsked.model_validate(event.payload)))
            case BudgetReached.type:
                self._start(self._give_up(event.run_id))
            case PlanItemChanged.type:
                item = PlanItemChanged.model_validate(event.payload)
                if item.status == "delegated" and item.child_run_id is not None:
                    self._start(self._follow(item.child_run_id))
            case _:
                pass

    async def close(self) -> None:
        """Ask nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _follow(self, run_id: str) -> None:
        async for event in self._live.subscribe(run_id, 0):
            self.saw(event)

    @property
    def _absent(self) -> str:
        """Why nobody at the terminal is asked; empty when somebody is."""
        if self._approve is Approve.NEVER:
            return NEVER
        return "" if sys.stdin.isatty() and sys.stderr.isatty() else NOBODY

    async def _decide(self, asked: ApprovalRequested) -> None:
        async with self._one_at_a_time:
            decision = Decision(decision="deny", note=self._absent)
            if not self._absent:
                decision = await self._asked_for(asked)
            await self._decided(asked.approval_id, decision)

    async def _decided(self, approval_id: str, decision: Decision) -> None:
        try:
            async with self._database.transaction() as session:
                user = to_domain(await ensure_local_user(session))
                await decide_approval(session, user, approval_id, decision, self._settings)
        except Conflict as error:
            self._say(error.message)
        except PermissionDenied as error:
            self._say(error.message)
            await self._decided(approval_id, Decision(decision="deny", note=error.message))

    async def _asked_for(self, asked: ApprovalRequested) -> Decision:
        self._console.print(f"\n[bold yellow]?[/bold yellow] {escape(plain(asked.tool))} needs your approval")
        lexer = "diff" if asked.preview.kind == "diff" else "text"
        self._console.print(
            Syntax(plain(asked.preview.text), lexer, background_color="default", word_wrap=True)
        )
        self._say(f"rule {asked.rule}{_touching(asked.touched)}")
        while True:
            word = (await self._line("Approve? [y] once, [t] for this task, [n] no: ")).strip().lower()
            if word in ("y", "yes"):
                return Decision(decision="approve")
            if word == "t":
                return Decision(decision="approve", scope=ApprovalScope.TASK)
            if word in ("n", "no"):
                return Decision(
                    decision="deny", note=(await self._line("Why (may be empty): ")).strip()[:2000]
                )

    async def _answer(self, asked: QuestionAsked) -> None:
        async with self._one_at_a_time:
            words = f"{self._absent} {PLAINEST}" if self._absent else await self._answered(asked)
            try:
                async with self._database.transaction() as session:
                    user = to_domain(await ensure_local_user(session))
                    await answer_question(session, user, asked.question_id, Answer(answer=words))
            except Conflict as error:
                self._say(error.message)

    async def _give_up(self, run_id: str) -> None:
        """Nobody raises a budget from a terminal that follows one run: it ends, and its diff is kept."""
        async with self._database.transaction() as session:
            await give_up(session, (await get_run(session, run_id)).task_id)

    async def _answered(self, asked: QuestionAsked) -> str:
        self._console.print(f"\n[bold yellow]?[/bold yellow] {escape(plain(asked.question))}")
        for number, option in enumerate(asked.options, start=1):
            self._console.print(f"  {number}. {escape(plain(option))}")
        while True:
            word = (await self._line("Your answer: ")).strip()
            if word.isdecimal() and 0 < int(word) <= len(asked.options):
                return asked.options[int(word) - 1]
            if word:
                return word[:MAX_ANSWER]

    async def _line(self, prompt: str) -> str:
        """Read a line without a thread that nothing could stop; the end of input is a no."""
        self._console.print(f"[bold]{escape(prompt)}[/bold]", end="")
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sys.stdin, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(sys.stdin)
        return sys.stdin.readline() or "no"

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{escape(plain(text))}[/dim]")


def _touching(touched: Touched) -> str:
    names = [*touched.paths, *touched.hosts, *touched.secrets, *filter(None, (touched.image, touched.ref))]
    return f"; touches {', '.join(names)}" if names else ""
