"""What ``builtin/repair`` reads out of tool results; fields that it doesn't need are left alone."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hypercode.llm.base import Message

ResultT = TypeVar("ResultT", bound=BaseModel)


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Counts(_Read):
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    errors: int = 0


class Failure(_Read):
    """A red test."""

    id: str


class TestResult(_Read):
    """The result of ``test_run``."""

    __test__ = False

    summary: Counts
    exit_code: int | None = None
    failures: list[Failure] = Field(default_factory=list)

    @property
    def red(self) -> list[str]:
        """Ids of the red tests that are named; there may be more."""
        return [failure.id for failure in self.failures]

    @property
    def red_count(self) -> int:
        """How many tests are red."""
        return max(self.summary.failed + self.summary.errors, len(self.failures))

    @property
    def nothing_ran(self) -> bool:
        """True when no test passed or failed: there is none, or the command could not run them."""
        return self.summary.passed + self.red_count == 0

    def better_than(self, other: "TestResult") -> bool:
        """Fewer red tests, none of them new, and none that passed is missing."""
        fewer = self.red_count < other.red_count
        return fewer and set(self.red) <= set(other.red) and self.summary.passed > other.summary.passed


class Edit(_Read):
    """One exact replacement in one file."""

    path: str
    old: str
    new: str


class Patch(_Read):
    """One fix that the engine found plausible."""

    path: str
    diff: str
    edits: list[Edit] = Field(min_length=1)
    explanation: str = ""
    fixes: list[str] = Field(default_factory=list)

    def rivals(self, patches: list["Patch"]) -> list["Patch"]:
        """The other patches that make the same tests pass: these tests can't tell them apart."""
        return [other for other in patches if other is not self and set(other.fixes) >= set(self.fixes)]

    def undo(self) -> list[Edit]:
        """Edits that take the patch back. They come from the diff, whose lines of context make them unique."""
        return [Edit(path=self.path, old=after, new=before) for before, after in _hunks(self.diff) if after]


class SearchResult(_Read):
    """The result of ``repair_failing_test``."""

    status: str
    failing_tests: list[str] = Field(default_factory=list)
    tried: int = 0
    elapsed_s: float = 0.0
    patches: list[Patch] = Field(default_factory=list)
    message: str = ""
    notes: list[str] = Field(default_factory=list)


def read_result(kind: type[ResultT], message: Message) -> ResultT | None:
    """The typed half of a tool's answer, or None when the call failed or it does not fit."""
    if message.failed or message.data is None:
        return None
    try:
        return kind.model_validate(message.data)
    except ValidationError:
        return None


def _hunks(diff: str) -> list[tuple[str, str]]:
    """Each hunk of a unified diff as its text before and after."""
    hunks: list[tuple[str, str]] = []
    mark = ""
    for line in diff.split("\n"):
        if line.startswith("@@"):
            hunks.append(("", ""))
        elif hunks and line:
            if line[0] != "\\":
                mark = line[0]
            hunks[-1] = _grown(hunks[-1], line, mark)
    return hunks


def _grown(hunk: tuple[str, str], line: str, mark: str) -> tuple[str, str]:
    """A hunk with one more line; ``\\ No newline`` takes back the last newline of the side it follows."""
    before, after = hunk
    if line[0] == "\\":
        return (
            before.removesuffix("\n") if mark in " -" else before,
            after.removesuffix("\n") if mark in " +" else after,
        )
    text = line[1:] + "\n"
    return before + (text if mark in " -" else ""), after + (text if mark in " +" else "")
