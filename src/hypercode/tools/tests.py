"""test_discover and test_run: the project's tests, in the sandbox, with one form of result for every framework.

What comes back was written by code that an agent may have changed: it is checked, cut, and never trusted.
"""

import posixpath
from dataclasses import replace

from mcp import types
from pydantic import Field, field_validator, model_validator

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.reports import Report
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.mcp_protocol.uris import ReportFile
from hypercode.sandbox.base import ExecResult
from hypercode.tools.detection import find_frameworks
from hypercode.tools.frameworks import FRAMEWORKS, Framework, Name, of_command
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.resources import mime_type
from hypercode.tools.shell import NO_SECRETS, SecretNames, environment, log_uri, with_log
from hypercode.tools.test_execution import Asked, Coverage, TestsDone, run_again, run_tests

MAX_FAILURES = 50
MAX_RERUN = 20
OUTPUT_TAIL = 4000


def no_option(words: list[str]) -> list[str]:
    """Return the words; raises ValueError for one that a program would take as an option."""
    for word in words:
        if word.startswith("-") or "\0" in word or len(word) > 1000:
            raise ValueError(f"{word[:40]!r} is not the name of a test or path")
    return words


class DiscoverArguments(Arguments):
    """Nothing to say."""


class FoundFramework(Closed):
    """A framework, the directory for test_run's ``cwd``, its command, and the file that says so."""

    framework: str
    cwd: str
    command: list[str]
    evidence: str


class Discovered(Closed):
    """The frameworks of the project, the likeliest first."""

    frameworks: list[FoundFramework]


async def test_discover(context: ToolContext, args: DiscoverArguments) -> ToolReply:
    """Say which test frameworks the project's files speak of."""
    del args  # it has none
    found = await find_frameworks(context.sandboxes, context.sandbox)
    result = Discovered(
        frameworks=[
            FoundFramework(
                framework=each.framework.name,
                cwd=each.directory,
                command=each.framework.argv([]),
                evidence=each.evidence[:500],
            )
            for each in found[:50]
        ]
    )
    lines = [f"{each.framework} in {each.cwd} ({each.evidence})" for each in result.frameworks]
    return ToolReply(result, cap_text("\n".join(lines) or "No test framework was found.")[0])


test_discover.__test__ = False  # type: ignore[attr-defined]


class TestRunArguments(Arguments):
    """Tests (ids or paths; none means all) of a framework (none: the project's first), or another command.

    ``rerun_failed``: red tests run once more, alone; those that pass then are flaky.
    """

    __test__ = False

    framework: Name | None = None
    targets: list[str] = Field(default_factory=list, max_length=500)
    command: list[str] | None = Field(default=None, min_length=1, max_length=200)
    cwd: WorkspacePath = "."
    timeout_s: float = Field(default=600.0, gt=0, le=900)
    coverage: bool = False
    rerun_failed: bool = False
    secrets: SecretNames = NO_SECRETS

    _plain = field_validator("targets")(no_option)

    @model_validator(mode="after")
    def _one_way(self) -> "TestRunArguments":
        if self.framework is not None and self.command is not None:
            raise ValueError("give either framework or command")
        if any("\0" in word for word in self.command or ()):
            raise ValueError("a command holds no NUL character")
        return self

    def touched(self) -> Touched:
        """The command's words; of a framework, its name and the targets. And the secrets it is given."""
        command = self.command if self.command is not None else [self.framework or "test"]
        return Touched(argv=(*command, *self.targets), secrets=tuple(self.secrets))


class Summary(Closed):
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    duration_s: float = 0.0


class Failure(Closed):
    """A red test; ``message`` is what was reported, ``stdout_tail`` what it printed, where the runner says so."""

    id: str
    outcome: str
    file: str | None
    line: int | None
    message: str
    stdout_tail: str = ""


class TestsRan(Closed):
    """What the tests reported. ``reported`` False: there was no per-test report, only an exit code."""

    framework: str | None
    exit_code: int | None
    timed_out: bool
    reported: bool
    summary: Summary
    failures: list[Failure]
    flaky: list[str]
    coverage: Coverage | None
    output: str
    truncated: bool
    resource_uri: str | None
    report_uri: str | None


async def test_run(context: ToolContext, args: TestRunArguments) -> ToolReply:
    """Run tests and say what they reported."""
    await context.report("running the tests")
    framework = await _framework(context, args)
    if framework is not None and args.command is None:
        asked = Asked(framework.argv(args.targets), args.cwd, args.timeout_s, OUTPUT_TAIL, args.coverage)
    else:
        asked = Asked([*(args.command or []), *args.targets], args.cwd, args.timeout_s, OUTPUT_TAIL, False)
    asked = replace(asked, env=await environment(context, {}, args.secrets))
    done = await run_tests(context, framework, asked, given=args.command is not None)
    flaky = await _flaky(context, framework, asked, done) if args.rerun_failed else []
    result = _ran(context, framework, done, flaky)
    await context.report(_counts(result))
    reply = with_log(ToolReply(result, _words(result)), result.resource_uri)
    if result.report_uri is None:
        return reply
    kind = mime_type(result.report_uri)
    report = types.ResourceLink(
        type="resource_link", uri=result.report_uri, name="test report", mime_type=kind
    )
    return ToolReply(reply.data, reply.text, (*reply.parts, report))


test_run.__test__ = False  # type: ignore[attr-defined]


async def _framework(context: ToolContext, args: TestRunArguments) -> Framework | None:
    if args.command is not None:
        return of_command(args.command)
    if args.framework is not None:
        return FRAMEWORKS[args.framework]
    found = await find_frameworks(context.sandboxes, context.sandbox)
    here = next((each for each in found if each.directory == args.cwd), None)
    # Where nothing was found, pytest says better than a refusal what is missing.
    return here.framework if here is not None else FRAMEWORKS["pytest"]


def _red(report: Report | None) -> list[TestCase]:
    cases = report.cases if report is not None else []
    return [case for case in cases if case.outcome in (TestOutcome.FAILED, TestOutcome.ERROR)]


async def _flaky(
    context: ToolContext, framework: Framework | None, asked: Asked, done: TestsDone
) -> list[str]:
    """Of the red tests, those that pass when they run once more."""
    ids = [case.id for case in _red(done.report)][:MAX_RERUN]
    targets = framework.rerun(ids) if framework is not None and ids else None
    if framework is None or not targets:
        return []
    try:
        no_option(targets)
    except ValueError as error:
        raise InvalidArgument("the report names tests that can't be run again") from error
    again = await run_again(context, framework, asked, targets)
    cases = again.report.cases if again.report is not None else []
    passed = {case.id for case in cases if case.outcome is TestOutcome.PASSED}
    return [name for name in ids if name in passed]


def _ran(context: ToolContext, framework: Framework | None, done: TestsDone, flaky: list[str]) -> TestsRan:
    cases = done.report.cases if done.report is not None else []
    outputs = done.report.outputs if done.report is not None else {}
    outcomes = [case.outcome for case in cases]
    red = _red(done.report)
    output, cut = cap_text(_both(done.result), OUTPUT_TAIL)
    return TestsRan(
        framework=framework.name if framework is not None else None,
        exit_code=done.result.exit_code,
        timed_out=done.result.timed_out,
        reported=done.report is not None,
        summary=Summary(
            passed=outcomes.count(TestOutcome.PASSED),
            failed=outcomes.count(TestOutcome.FAILED),
            errors=outcomes.count(TestOutcome.ERROR),
            skipped=outcomes.count(TestOutcome.SKIPPED),
            duration_s=round(done.result.duration_ms / 1000, 3),
        ),
        failures=[_failure(case, outputs.get(case.id, "")) for case in red[:MAX_FAILURES]],
        flaky=flaky,
        coverage=done.coverage,
        output=output,
        truncated=len(red) > MAX_FAILURES or cut or done.result.truncated,
        resource_uri=log_uri(context, done.result),
        report_uri=_report_uri(context, framework, done),
    )


def _report_uri(context: ToolContext, framework: Framework | None, done: TestsDone) -> str | None:
    """The address of the report as the runner wrote it, where it is a file of its own."""
    if framework is None or framework.source != "file" or done.report is None:
        return None
    return ReportFile(context.grant.run_id, posixpath.basename(framework.path)).uri


def _both(done: ExecResult) -> str:
    return (done.stdout + "\n" + done.stderr).strip()


def _failure(case: TestCase, printed: str) -> Failure:
    return Failure(
        id=case.id[:1000],
        outcome=case.outcome.value,
        file=case.file,
        line=case.line,
        message=case.message[-2000:],
        stdout_tail=printed[-1000:],
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
    elif not any(result.summary.model_dump(exclude={"duration_s"}).values()):
        lines.append("No test was collected.")
    else:
        lines.append(f"{_counts(result)} (exit code {result.exit_code}).")
    if result.flaky:
        lines.append(f"Passed when run once more: {', '.join(result.flaky)}")
    if result.coverage is not None:
        said = result.coverage
        lines.append(said.reason if said.lines_pct is None else f"Lines covered: {said.lines_pct} %.")
    for failure in result.failures:
        place = f" ({failure.file}:{failure.line})" if failure.file and failure.line else ""
        lines.append(f"\n{failure.outcome.upper()} {failure.id}{place}\n{failure.message[-800:]}")
    if not result.failures and result.exit_code != 0:
        lines.append(result.output)
    return cap_text("\n".join(lines))[0]


TEST_TOOLS = (
    Tool(
        "test_discover",
        "Say which test frameworks the project has, and where, from its files; nothing is run.",
        DiscoverArguments,
        Discovered,
        test_discover,
        read_only=True,
    ),
    Tool(
        "test_run",
        "Run the project's tests (all, or the given ids or paths) and report each failure. Knows pytest, unittest, "
        "jest, vitest, mocha, go, cargo, maven, gradle, and any command that leaves JUnit XML.",
        TestRunArguments,
        TestsRan,
        test_run,
        read_only=False,
        repeatable=True,
    ),
)
"""The group's tools."""
