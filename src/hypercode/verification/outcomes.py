"""A report as outcomes by test id, so that two reports can be compared."""

import re
import shlex

from hypercode.domain.check import CheckReport, TestOutcome

COMMAND = "command: "
"""Prefix of the pseudo test that stands for a command's own exit code."""

_NETWORK = re.compile(
    r"Name or service not known|Temporary failure in name resolution|nodename nor servname|getaddrinfo"
    r"|No address associated|Network is unreachable|Connection refused|No route to host"
    r"|Failed to establish a new connection|NameResolutionError|ConnectError|urlopen error|ENOTFOUND|ECONNREFUSED"
)


def outcomes(report: CheckReport) -> dict[str, TestOutcome]:
    """Outcome by test id. The command itself is red when it failed without a red test to show for it."""
    found: dict[str, TestOutcome] = {}
    for case in report.tests:
        # Failed in the call and in error in the teardown: two cases with one id; the worse one counts.
        if found.get(case.id) not in (TestOutcome.FAILED, TestOutcome.ERROR):
            found[case.id] = case.outcome
    command_red = report.exit_code != 0 and not report.red_ids
    found[COMMAND + shlex.join(report.check.argv)] = TestOutcome.FAILED if command_red else TestOutcome.PASSED
    return found


def is_red(outcome: TestOutcome | None) -> bool:
    return outcome in (TestOutcome.FAILED, TestOutcome.ERROR)


def is_command(test_id: str) -> bool:
    return test_id.startswith(COMMAND)


def is_collection(test_id: str) -> bool:
    """True for the pseudo test of a file that could not be imported."""
    return "::" not in test_id and not is_command(test_id)


def resolved(test_id: str, found: dict[str, TestOutcome]) -> bool:
    """True when a test that was red is passed here; a file that could not be imported, when its tests pass."""
    if test_id in found:
        return found[test_id] is TestOutcome.PASSED
    if not is_collection(test_id):
        return False
    prefixes = (test_id + "::", test_id.replace(".", "/") + ".py::")
    inside = [outcome for other, outcome in found.items() if other.startswith(prefixes)]
    return TestOutcome.PASSED in inside and not any(is_red(outcome) for outcome in inside)


def counts(report: CheckReport) -> tuple[int, int]:
    """Passed and red; of a command without a per-test reporter, the command."""
    if report.check.framework is None:
        return (1, 0) if report.exit_code == 0 else (0, 1)
    return len(report.passed_ids), len(report.red_ids)


def network_ids(report: CheckReport) -> set[str]:
    """Red tests whose message is one of a missing network."""
    found = {case.id for case in report.tests if case.id in report.red_ids and _NETWORK.search(case.message)}
    if report.exit_code != 0 and not report.red_ids and _NETWORK.search(report.log):
        found.add(COMMAND + shlex.join(report.check.argv))
    return found


def unusable(report: CheckReport) -> str | None:
    """Why a report can't be compared at all, or None."""
    command = shlex.join(report.check.argv)
    if report.timed_out:
        return f"timed out after {report.check.timeout_s:g} s: {command}"
    if report.exit_code is None:
        return f"was killed or never started: {command}"
    if report.exit_code in (126, 127) and not report.tests:
        return f"could not be started (exit code {report.exit_code}): {command}"
    if report.check.framework is not None and not report.tests:
        return f"zero tests collected (exit code {report.exit_code}): {command}"
    return None
