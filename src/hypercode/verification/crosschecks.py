"""Findings from the reports of a run themselves: canaries, and JUnit against summary and exit code."""

from hypercode.domain.attestation import Finding
from hypercode.verification.baselines import Canaries
from hypercode.verification.canaries import Canary, read_canary, without_canary
from hypercode.verification.checks import Session

# Words of the summary whose tests appear in JUnit in other numbers than in the terminal.
_UNCOUNTED = {"subtests passed", "subtests failed", "rerun", "error", "errors"}


def consistency_findings(session: Session) -> list[Finding]:
    """Compare the three voices of one run: the JUnit file, the terminal's last line, the exit code."""
    report = session.report
    if report.check.framework != "pytest" or report.timed_out or report.exit_code is None:
        return []
    complaints: list[str] = []
    if report.exit_code == 0 and report.red_ids:
        complaints.append("exit code 0 although the report names failing tests")
    if report.exit_code == 0 and not session.reported:
        complaints.append("exit code 0, but no report was written")
    if report.exit_code == 1 and not report.red_ids and "failed" in (session.summary or {}):
        complaints.append("the terminal names failures that the report lacks")
    if session.summary is not None and not complaints:
        complaints += _count_complaints(session, session.summary)
    return [Finding(code="inconsistent_report", message=complaint, blocking=True) for complaint in complaints]


def _count_complaints(session: Session, summary: dict[str, int]) -> list[str]:
    red = summary.get("failed", 0) + summary.get("error", 0) + summary.get("errors", 0)
    if bool(red) != bool(session.report.red_ids):
        return [f"the terminal says {red} failed, the report {len(session.report.red_ids)}"]
    if _UNCOUNTED & summary.keys():
        return []
    passed = summary.get("passed", 0) + summary.get("xpassed", 0)
    if passed != len([case for case in session.report.tests if case.outcome == "passed"]):
        return [f"the terminal says {passed} passed, the report {len(session.report.passed_ids)}"]
    return []


def canary_findings(canary: Canary, session: Session, at_base: Canaries) -> list[Finding]:
    """What the canaries say of the report at head, given whether they were seen at base."""
    result = read_canary(canary, session.report)
    if at_base is Canaries.UNSEEN:
        message = "canaries could not be used: the check does not run new test files as they are"
        return [Finding(code="canaries_unusable", message=message)]
    if not result.seen:
        rest = without_canary(canary, session.report)
        # A suite that stops early, at a file it can't import, is red by itself and never gets to them.
        if rest.red_ids or rest.timed_out or rest.exit_code not in (0, 1):
            return []
        return [_falsified("the canaries are missing from the report")]
    return [_falsified(lie) for lie in dict.fromkeys(result.lies)]


def _falsified(message: str) -> Finding:
    return Finding(code="report_falsified", message=message, blocking=True)
