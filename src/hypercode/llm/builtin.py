"""``builtin/repair``: no language model. It asks for a search of small Python fixes and judges what comes back.

It keeps no state: each request's history is read from its beginning, and the next move follows from it.
"""

from typing import Any

from hypercode.llm import repair_words as words
from hypercode.llm.base import Message, ModelReply, ModelRequest, Most, OnText, RequestedCall
from hypercode.llm.repair_results import Edit, Patch, SearchResult, TestResult, read_result

BUDGET_S = 30
MAX_PATCHES = 5
MAX_ROUNDS = 4


class RepairModel:
    """Runs the tests, searches a fix, applies it, runs the tests again; says in plain words what it found."""

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """Answer from the history alone; at once, so that there is nothing to tell on the way."""
        repair = _Repair({tool.name for tool in request.tools})
        for calls in _turns(request.messages):
            repair.observe(calls)
        text, wanted = repair.move()
        calls = [
            RequestedCall(id=f"call_{request.turn}_{index}", tool=call.tool, arguments=call.arguments)
            for index, call in enumerate(wanted)
        ]
        return ModelReply(text=text, calls=calls, model=request.model, cost_usd=0.0)

    def most(self, request: ModelRequest) -> Most:
        """Nothing: it is a program on this machine."""
        del request
        return Most(tokens=0, cost_usd=0.0)

    async def aclose(self) -> None:
        """Nothing is held."""


Move = tuple[str, list[RequestedCall]]


class _Repair:
    """Where the repair stands; ``observe`` takes one turn's results, ``move`` says what to do next."""

    def __init__(self, tools: set[str]) -> None:
        self.missing = {"test_run", "repair_failing_test", "fs_edit"} - tools
        self.first: TestResult | None = None
        self.best: TestResult | None = None
        self.search: SearchResult | None = None
        self.rounds = 0
        self.tried = 0
        self.elapsed_s = 0.0
        self.current = 0
        self.phase = "start"
        self.failure = ""
        self.kept: list[tuple[Patch, list[Patch]]] = []

    def observe(self, turn: list[Message]) -> None:
        """Take the results of one turn's calls; the tools called say which turn it was."""
        by_tool = {message.tool: message for message in turn}
        if "test_run" in by_tool:
            self._tests_ran(by_tool["test_run"])
        elif "repair_failing_test" in by_tool:
            self._searched(by_tool["repair_failing_test"])
        else:
            self._edited(turn)

    def _tests_ran(self, message: Message) -> None:
        result = read_result(TestResult, message)
        if result is None:
            self.phase, self.failure = "broken", message.content
        elif self.first is None or self.best is None:
            self.first = self.best = result
            self.phase = "search" if result.red_count else "nothing_red"
        elif result.better_than(self.best):
            patch = self.patches[self.current]
            self.kept.append((patch, patch.rivals(self.patches)))
            self.best = result
            self.phase = "search" if result.red_count and self.rounds < MAX_ROUNDS else "done"
        else:
            self.phase = "undo"

    def _searched(self, message: Message) -> None:
        result = read_result(SearchResult, message)
        if result is None:
            self.phase, self.failure = "broken", message.content
            return
        self.search, self.current = result, 0
        self.rounds += 1
        self.tried += result.tried
        self.elapsed_s += result.elapsed_s
        self.phase = "apply" if result.patches else "done"

    def _edited(self, turn: list[Message]) -> None:
        failures = [message.content for message in turn if message.failed]
        if failures:
            self.phase, self.failure = "broken", failures[0]
            return
        if self.phase == "undo":
            self.current += 1
        self.phase = "applied" if self.current < len(self.patches) else "done"

    @property
    def patches(self) -> list[Patch]:
        return self.search.patches if self.search else []

    def move(self) -> Move:
        """What to say and to call now."""
        if self.missing:
            return words.tools_missing(sorted(self.missing)), []
        moves = {
            "start": self._start,
            "search": self._search,
            "apply": self._apply,
            "applied": lambda: (words.APPLIED, [_call("test_run", {})]),
            "undo": self._undo,
        }
        return moves[self.phase]() if self.phase in moves else (self._ending(), [])

    def _start(self) -> Move:
        return words.START, [_call("test_run", {})]

    def _search(self) -> Move:
        red = self.best.red if self.best else []
        arguments = {"budget_s": BUDGET_S, "max_patches": MAX_PATCHES}
        return words.searching(red, again=bool(self.kept)), [_call("repair_failing_test", arguments)]

    def _apply(self) -> Move:
        patch = self.patches[self.current]
        return words.applying(patch, len(patch.rivals(self.patches)), self.tried), _edits(patch.edits)

    def _undo(self) -> Move:
        """Take the last patch back and, when there is another, put that in its place."""
        patch = self.patches[self.current]
        if not patch.undo():
            return words.broken("the edit can't be taken back, since its diff came cut", kept=True), []
        following = self.patches[self.current + 1] if self.current + 1 < len(self.patches) else None
        calls = [*_edits(patch.undo()), *(_edits(following.edits) if following else [])]
        return words.undoing(patch, following), calls

    def _ending(self) -> str:
        if self.phase == "broken" or self.first is None or self.best is None:
            return words.broken(self.failure, kept=bool(self.kept))
        if self.phase == "nothing_red":
            return words.nothing_red(self.first)
        if self.kept:
            return words.repaired(self.kept, self.first, self.best, self.search, self.tried, self.elapsed_s)
        return words.nothing_found(self.search, self.tried, self.elapsed_s, self.first.red_count)


def _turns(messages: list[Message]) -> list[list[Message]]:
    """The tool results of each past turn."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "assistant":
            turns.append([])
        elif message.role == "tool" and turns:
            turns[-1].append(message)
    return [turn for turn in turns if turn]


def _edits(edits: list[Edit]) -> list[RequestedCall]:
    """One ``fs_edit`` for each file."""
    by_path: dict[str, list[dict[str, Any]]] = {}
    for edit in edits:
        exact = {"old": edit.old, "new": edit.new, "expected_count": 1}
        by_path.setdefault(edit.path, []).append(exact)
    return [_call("fs_edit", {"path": path, "edits": exact}) for path, exact in by_path.items()]


def _call(tool: str, arguments: dict[str, Any]) -> RequestedCall:
    return RequestedCall(id="", tool=tool, arguments=arguments)
