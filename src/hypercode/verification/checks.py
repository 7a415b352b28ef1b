"""Running one check in a fresh container, and reading what it left behind."""

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.check import Check, CheckReport, TestCase
from hypercode.domain.errors import HyperCodeError
from hypercode.mcp_protocol.junit import REPORT_OPTION, parse_junit
from hypercode.platform_api.types import CheckRan, CheckRun

JUNIT_NAME = "junit.xml"
LOG_CAP = 20_000
MESSAGE_CAP = 2_000

_SUMMARY = re.compile(r"^=*\s*((?:\d+ [a-z]+(?: [a-z]+)?(?:, )?)+) in [\d.]+s", re.MULTILINE)
_COUNT = re.compile(r"(\d+) ([a-z]+(?: [a-z]+)?)")


class CheckRunner(Protocol):
    """Runs a check in a fresh container: ``PlatformClient``, or an adapter right over the sandboxes."""

    async def check_run(self, request: CheckRun) -> CheckRan: ...


class Place(BaseModel):
    """Where checks run: the run's workspace and the verification image with its environment variables."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    workspace_id: str
    image: str
    env: dict[str, str]


class Tree(BaseModel):
    """What a check runs on: a commit, with paths brought back from another one, and extra files."""

    model_config = ConfigDict(frozen=True)

    commit: str
    restore_paths: list[str] = Field(default_factory=list)
    restore_paths_from: str | None = None
    overlay: dict[str, str] = Field(default_factory=dict)


class Session(BaseModel):
    """One execution of a check: its report, and on which tree and image the container says it was."""

    model_config = ConfigDict(frozen=True)

    report: CheckReport
    tree: str
    image_id: str
    summary: dict[str, int] | None = None
    reported: bool = True


async def run_check(
    runner: CheckRunner, place: Place, check: Check, tree: Tree, extra_argv: Sequence[str] = ()
) -> Session:
    """Run a check once; ``extra_argv`` are paths to append for an argv that names its test files."""
    argv = [*check.argv, *extra_argv]
    if check.framework == "pytest":
        argv.append(REPORT_OPTION)
    ran = await runner.check_run(
        CheckRun(
            run_id=place.run_id,
            workspace_id=place.workspace_id,
            commit=tree.commit,
            image=place.image,
            argv=argv,
            env=place.env,
            timeout_s=check.timeout_s,
            restore_paths=tree.restore_paths,
            restore_paths_from=tree.restore_paths_from,
            overlay=tree.overlay,
        )
    )
    return read_session(check, ran)


def read_session(check: Check, ran: CheckRan) -> Session:
    """Turn what a container left into a report. A report that can't be parsed counts as none."""
    log = ran.stdout + (f"\n--- stderr ---\n{ran.stderr}" if ran.stderr else "")
    xml = ran.reports.get(JUNIT_NAME)
    tests = _tests(xml) if check.framework == "pytest" and xml else []
    report = CheckReport(
        check=check,
        exit_code=ran.exit_code,
        timed_out=ran.timed_out,
        tests=tests,
        duration_s=round(ran.duration_ms / 1000, 3),
        log=log[-LOG_CAP:],
        log_sha256=hashlib.sha256(log.encode()).hexdigest(),
        collected=len(tests) if check.framework else None,
    )
    return Session(
        report=report,
        tree=ran.tree,
        image_id=ran.image_id,
        summary=read_summary(ran.stdout),
        reported=xml is not None,
    )


def _tests(xml: str) -> list[TestCase]:
    # The XML was written by a process that ran the patch: unreadable means no report, never an exception.
    try:
        cases = parse_junit(xml)
    except (ValueError, SyntaxError, HyperCodeError):
        return []
    return [case.model_copy(update={"message": case.message[:MESSAGE_CAP]}) for case in cases]


def read_summary(stdout: str) -> dict[str, int] | None:
    """Read the last terminal summary (``2 failed, 3 passed in 0.1s``) as counts by word."""
    lines = _SUMMARY.findall(stdout)
    if not lines:
        return None
    return {word: int(count) for count, word in _COUNT.findall(lines[-1])}
