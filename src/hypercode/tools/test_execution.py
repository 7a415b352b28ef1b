"""Running a test command and fetching what it reported: a file, its output, or JUnit XML that it left."""

import base64
from dataclasses import dataclass, field, replace

from hypercode.domain.errors import HyperCodeError
from hypercode.mcp_protocol.junit import REPORT_DIRECTORY, REPORT_OPTION, REPORT_PATH
from hypercode.mcp_protocol.junit_any import parse_junit_any
from hypercode.mcp_protocol.reports import MAX_REPORT, Report, worst
from hypercode.mcp_protocol.schemas import Closed
from hypercode.sandbox.base import ExecRequest, ExecResult
from hypercode.tools.coverage import REASONS, lines_pct
from hypercode.tools.frameworks import COVERAGE_DATA, COVERAGE_FOLDER, Framework
from hypercode.tools.progress import followed
from hypercode.tools.registry import ToolContext

BEGUN = f"{REPORT_DIRECTORY}/begun"
COVERAGE_JSON = f"{REPORT_DIRECTORY}/coverage.json"
MAX_OUTPUT = 8 * 1024 * 1024
MAX_FILES = 50
_FRESH = f"rm -rf {REPORT_DIRECTORY} && mkdir -p {REPORT_DIRECTORY} && : > {BEGUN}"
# A regular file and nothing else: a pipe in its place would keep us waiting.
_READ = f'[ -f "$1" ] && [ ! -L "$1" ] && head -c {MAX_REPORT + 1} -- "$1"'
_JUNIT_FILES = (
    "find . -type d \\( -name node_modules -o -name .git -o -name .venv \\) -prune -o -type f -newer "
    f"{BEGUN} \\( -name 'TEST-*.xml' -o -name '*junit*.xml' -o -path '*/test-results/*.xml' \\) -print"
)


@dataclass(frozen=True)
class Asked:
    """A test command: where, for how long, how much output before its log is kept, with coverage or without."""

    argv: list[str]
    cwd: str
    timeout_s: float
    log_over: int
    coverage: bool
    env: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class Coverage(Closed):
    """The percentage of lines (go: statements) that the tests ran, or why it is not known."""

    lines_pct: float | None
    reason: str


@dataclass(frozen=True)
class TestsDone:
    """How the command ended, what it reported, and the coverage when that was asked for."""

    __test__ = False

    result: ExecResult
    report: Report | None
    coverage: Coverage | None = None


async def run_tests(
    context: ToolContext, framework: Framework | None, asked: Asked, *, given: bool
) -> TestsDone:
    """Run a command once. ``given``: it is the caller's own, and only its report is asked for."""
    await _shell(context, _FRESH)
    argv = asked.argv
    if given and framework is not None and framework.name == "pytest":
        argv = [*argv, REPORT_OPTION]
    missing = await _no_coverage(context, framework, asked) if asked.coverage else None
    if asked.coverage and missing is None and framework is not None and framework.coverage is not None:
        argv = framework.coverage(argv)
    request = ExecRequest(
        argv=argv,
        cwd=asked.cwd,
        env=asked.env,
        timeout_s=asked.timeout_s,
        max_output=MAX_OUTPUT,
        log_over=asked.log_over,
    )
    done = await followed(context, request)
    coverage = None
    if asked.coverage:
        coverage = Coverage(lines_pct=None, reason=missing) if missing else await _coverage(context, asked)
    return TestsDone(done, await _report(context, framework, done, asked.cwd), coverage)


async def run_again(
    context: ToolContext, framework: Framework, asked: Asked, targets: list[str]
) -> TestsDone:
    """Run some tests alone, without coverage."""
    again = replace(asked, argv=framework.argv(targets), coverage=False)
    return await run_tests(context, framework, again, given=False)


async def _report(
    context: ToolContext, framework: Framework | None, done: ExecResult, cwd: str
) -> Report | None:
    try:
        if framework is None or framework.source == "junit files":
            return await _left_behind(context, cwd)
        if framework.source == "file":
            text = await _file(context, framework.path)
        elif done.truncated:
            return None
        else:
            text = done.stdout if framework.source == "stdout" else done.stderr
        return None if text is None else framework.parse(text)
    except HyperCodeError:
        # A report that can't be read is none.
        return None


async def _left_behind(context: ToolContext, cwd: str) -> Report | None:
    """Whatever JUnit XML a command wrote since it began."""
    own = await _file(context, REPORT_PATH)
    reports = [parse_junit_any(own)] if own is not None else []
    listed = await _shell(context, _JUNIT_FILES, cwd)
    prefix = "" if cwd == "." else f"{cwd}/"
    room = MAX_REPORT
    for name in sorted(listed.stdout.splitlines())[:MAX_FILES]:
        path = prefix + name.removeprefix("./")
        read = await context.sandboxes.read(context.sandbox, path, 0, MAX_REPORT)
        room -= read.size
        if room < 0:
            break
        reports.append(parse_junit_any(base64.b64decode(read.data_b64).decode("utf-8", "replace")))
    if not reports:
        return None
    outputs = {name: text for report in reports for name, text in report.outputs.items()}
    return Report(worst(case for report in reports for case in report.cases), outputs)


async def _no_coverage(context: ToolContext, framework: Framework | None, asked: Asked) -> str | None:
    """Why there can be no coverage, None when there can."""
    if framework is None or framework.coverage is None:
        return REASONS["other"]
    if asked.argv[0] == "python":
        probe = await _shell(context, "python -c 'import coverage'", asked.cwd)
        return None if probe.exit_code == 0 else REASONS["python"]
    if framework.name == "vitest":
        probe = await _shell(context, "test -d node_modules/@vitest/coverage-v8", asked.cwd)
        return None if probe.exit_code == 0 else REASONS["vitest"]
    return None


async def _coverage(context: ToolContext, asked: Asked) -> Coverage:
    if asked.argv[0] == "python":
        wanted = f"python -m coverage json -q --data-file={COVERAGE_DATA} -o {COVERAGE_JSON}"
        await _shell(context, wanted, asked.cwd)
    for path in (COVERAGE_JSON, f"{COVERAGE_FOLDER}/coverage-summary.json", COVERAGE_DATA):
        text = await _file(context, path)
        if text is not None and (found := lines_pct(text)) is not None:
            return Coverage(lines_pct=found, reason="")
    return Coverage(lines_pct=None, reason=REASONS["unread"])


async def _file(context: ToolContext, path: str) -> str | None:
    argv = ["sh", "-c", _READ, "sh", path]
    got = await context.sandboxes.exec(
        context.sandbox, ExecRequest(argv=argv, timeout_s=30, max_output=2 * MAX_REPORT + 2)
    )
    return got.stdout if got.exit_code == 0 else None


async def _shell(context: ToolContext, script: str, cwd: str = ".") -> ExecResult:
    request = ExecRequest(argv=["sh", "-c", script], cwd=cwd, timeout_s=30)
    return await context.sandboxes.exec(context.sandbox, request)
