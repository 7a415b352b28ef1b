"""test_run and repair_failing_test: the project's tests, and the offline search for a fix, in the sandbox.

What comes back was written by code that an agent may have changed: it is checked, cut, and never trusted.
"""

import json
import posixpath
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import HyperCodeError, InvalidArgument, TimedOut
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.junit import PYTEST, REPORT_OPTION, REPORT_PATH, parse_junit
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.sandbox.base import ExecRequest, ExecResult
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import ending

ENGINE = "/opt/hypercode/repair/engine.py"
MAX_FAILURES = 50
OUTPUT_TAIL = 4000


def _no_option(words: list[str]) -> list[str]:
    for word in words:
        if word.startswith("-") or "\0" in word or len(word) > 1000:
            raise ValueError(f"{word[:40]!r} is not the name of a test or path")
    return words


class TestRunArguments(Arguments):
    """Run these tests (pytest ids or paths; none means all), or another command."""

    __test__ = False

    targets: list[str] = Field(default_factory=list, max_length=500)
    command: list[str] | None = Field(default=None, min_length=1, max_length=200)
    timeout_s: float = Field(default=600.0, gt=0, le=900)

    _plain = field_validator("targets")(_no_option)

    @property
    def argv(self) -> list[str]:
        """The command, with the option for the report when it is pytest."""
        command = list(self.command) if self.command is not None else list(PYTEST)
        program = [posixpath.basename(word) for word in command[:3]]
        if "pytest" in program or "py.test" in program:
            command.append(REPORT_OPTION)
        return command + self.targets


class Summary(Closed):
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    duration_s: float = 0.0


class Failure(Closed):
    """A red test; ``message`` is the end of what was reported."""

    id: str
    outcome: str
    file: str | None
    line: int | None
    message: str


class TestsRan(Closed):
    """What the tests reported. ``reported`` False: there was no per-test report, only an exit code."""

    exit_code: int | None
    timed_out: bool
    reported: bool
    summary: Summary
    failures: list[Failure]
    output: str
    truncated: bool


async def test_run(context: ToolContext, args: TestRunArguments) -> ToolReply:
    """Run tests and say what they reported."""
    sandbox = context.sandbox
    await context.report("running the tests")
    await context.sandboxes.exec(sandbox, ExecRequest(argv=["rm", "-f", REPORT_PATH], timeout_s=30))
    request = ExecRequest(argv=args.argv, timeout_s=args.timeout_s)
    done = await context.sandboxes.exec(sandbox, request)
    cases = await _report(context)
    result = _ran(done, cases)
    await context.report(_counts(result))
    return ToolReply(result, _words(result))


test_run.__test__ = False  # type: ignore[attr-defined]


async def _report(context: ToolContext) -> list[TestCase] | None:
    request = ExecRequest(argv=["cat", REPORT_PATH], timeout_s=30, max_output=32 * 1024 * 1024)
    got = await context.sandboxes.exec(context.sandbox, request)
    if got.exit_code != 0 or got.truncated:
        return None
    try:
        return parse_junit(got.stdout)
    except HyperCodeError:
        return None


def _ran(done: ExecResult, cases: list[TestCase] | None) -> TestsRan:
    outcomes = [case.outcome for case in cases or []]
    red = [case for case in cases or [] if case.outcome in (TestOutcome.FAILED, TestOutcome.ERROR)]
    output, _ = cap_text((done.stdout + "\n" + done.stderr).strip(), OUTPUT_TAIL)
    return TestsRan(
        exit_code=done.exit_code,
        timed_out=done.timed_out,
        reported=cases is not None,
        summary=Summary(
            passed=outcomes.count(TestOutcome.PASSED),
            failed=outcomes.count(TestOutcome.FAILED),
            errors=outcomes.count(TestOutcome.ERROR),
            skipped=outcomes.count(TestOutcome.SKIPPED),
            duration_s=round(done.duration_ms / 1000, 3),
        ),
        failures=[
            Failure(
                id=case.id[:1000],
                outcome=case.outcome.value,
                file=case.file,
                line=case.line,
                message=case.message[-2000:],
            )
            for case in red[:MAX_FAILURES]
        ],
        output=output,
        truncated=len(red) > MAX_FAILURES or done.truncated,
    )


def _counts(result: TestsRan) -> str:
    summary = result.summary
    return f"{summary.passed} passed, {summary.failed} failed, {summary.errors} errors, {summary.skipped} skipped"


def _words(result: TestsRan) -> str:
    lines: list[str] = []
    if result.timed_out:
        lines.append("Stopped at the time limit.")
    elif result.exit_code is None:
        lines.append("The test command was killed.")
    if not result.reported:
        lines.append(
            f"There is no test report (exit code {result.exit_code}): the tests were not run or collected."
        )
    elif result.exit_code == 5 or not any(result.summary.model_dump(exclude={"duration_s"}).values()):
        lines.append("No test was collected.")
    else:
        lines.append(f"{_counts(result)} (exit code {result.exit_code}).")
    for failure in result.failures:
        place = f" ({failure.file}:{failure.line})" if failure.file and failure.line else ""
        lines.append(f"\n{failure.outcome.upper()} {failure.id}{place}\n{failure.message[-800:]}")
    if not result.failures and result.exit_code != 0:
        lines.append(result.output)
    return cap_text("\n".join(lines))[0]


class RepairArguments(Arguments):
    """Which tests to make pass (none: those that fail), in which files, for how long."""

    test_ids: list[str] = Field(default_factory=list, max_length=100)
    paths: list[str] = Field(
        default_factory=list, max_length=50, description="Globs of files that may change."
    )
    budget_s: float = Field(default=30.0, gt=0, le=300)
    max_patches: int = Field(default=5, ge=1, le=20)

    _plain = field_validator("test_ids", "paths")(_no_option)


class _Reported(BaseModel):
    """What the engine prints; more fields than these are left alone."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})


class RepairEdit(_Reported):
    """One exact replacement in one file."""

    path: str = Field(max_length=4096)
    old: str = Field(max_length=100_000)
    new: str = Field(max_length=100_000)


class SuiteCounts(_Reported):
    """What the whole suite reports with the patch."""

    passed: int = 0
    failed: int = 0


class RepairPatch(_Reported):
    """One fix that makes tests pass, with what it makes pass."""

    path: str = Field(max_length=4096)
    diff: str = Field(max_length=100_000)
    edits: list[RepairEdit] = Field(max_length=50)
    template: str = Field(default="", max_length=500)
    score: float = 0.0
    explanation: str = Field(default="", max_length=2000)
    fixes: list[str] = Field(default_factory=list, max_length=1000)
    suite: SuiteCounts | None = None


class _EngineResult(_Reported):
    status: str = Field(max_length=50)
    failing_tests: list[str] = Field(default_factory=list)
    tried: int = 0
    elapsed_s: float = 0.0
    patches: list[RepairPatch] = Field(default_factory=list, max_length=20)
    message: str = Field(default="", max_length=4000)
    notes: list[str] = Field(default_factory=list, max_length=20)


class Repaired(Closed):
    """Ranked patches, the best first; none of them is applied. ``notes``: what is known of tests that stay red."""

    status: str
    failing_tests: list[str]
    tried: int
    elapsed_s: float
    patches: list[RepairPatch]
    message: str
    notes: list[str]
    truncated: bool


async def repair_failing_test(context: ToolContext, args: RepairArguments) -> ToolReply:
    """Search for small fixes that make failing tests pass; nothing is changed."""
    argv = ["python", ENGINE, "--root", "/workspace", "--json"]
    argv += ["--budget-s", f"{args.budget_s:g}", "--max-patches", str(args.max_patches)]
    for test_id in args.test_ids:
        argv += ["--test", test_id]
    for path in args.paths:
        argv += ["--path", path]
    await context.report("searching for a fix")
    # Collecting and running the suite comes on top of the search's own budget.
    request = ExecRequest(argv=argv, timeout_s=args.budget_s + 300, max_output=4 * 1024 * 1024)
    done = await context.sandboxes.exec(context.sandbox, request)
    if done.timed_out:
        raise TimedOut("the search did not end within its limit", hint="Run it for fewer tests or paths.")
    found = _engine_result(done)
    await context.report(f"{found.status}: {len(found.patches)} patches of {found.tried} tried")
    result = _repaired(found)
    return ToolReply(result, _patch_words(result))


def _engine_result(done: ExecResult) -> _EngineResult:
    for line in reversed(done.stdout.splitlines()):
        try:
            event: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and cast(dict[str, Any], event).get("type") == "result":
            try:
                return _EngineResult.model_validate(event)
            except ValidationError as error:
                raise InvalidArgument("the repair engine's result can't be read") from error
    raise HyperCodeError(
        f"the repair engine ended without a result. {ending(done)}", hint=done.stderr.strip()[-500:]
    )


def _repaired(found: _EngineResult) -> Repaired:
    """Keep as many patches as fit well under the hard cap."""
    room, kept = 150_000, list[RepairPatch]()
    for patch in found.patches:
        room -= len(patch.model_dump_json())
        if room < 0:
            break
        kept.append(patch)
    return Repaired(
        status=found.status,
        failing_tests=[test[:1000] for test in found.failing_tests[:100]],
        tried=found.tried,
        elapsed_s=found.elapsed_s,
        patches=kept,
        message=found.message,
        notes=[note[:1500] for note in found.notes],
        truncated=len(kept) < len(found.patches) or len(found.failing_tests) > 100,
    )


def _patch_words(result: Repaired) -> str:
    lines = [
        f"{result.status}: {result.tried} candidates tried in {result.elapsed_s:.1f} s. {result.message}",
        *result.notes,
    ]
    for rank, patch in enumerate(result.patches, start=1):
        lines.append(f"\n{rank}. {patch.explanation} Makes pass: {', '.join(patch.fixes[:10])}\n{patch.diff}")
    return cap_text("\n".join(lines))[0]


TEST_TOOLS = (
    Tool(
        "test_run",
        "Run the project's tests (all, or the given pytest ids or paths) and report each failure.",
        TestRunArguments,
        TestsRan,
        test_run,
        read_only=False,
        repeatable=True,
    ),
    Tool(
        "repair_failing_test",
        "Search offline for small fixes to Python code that make failing tests pass; returns ranked patches "
        "as exact edits for fs_edit, and changes nothing.",
        RepairArguments,
        Repaired,
        repair_failing_test,
        read_only=True,
        repeatable=True,
    ),
)
"""The group's tools."""
