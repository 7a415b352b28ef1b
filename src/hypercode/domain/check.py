"""Checks: commands whose exit code and report decide, frozen when the task or plan is accepted."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class TestOutcome(StrEnum):
    """What a runner reported of one test."""

    __test__ = False
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class TestCase(BaseModel):
    """One test as reported: ``id`` is the runner's own (pytest: ``tests/test_a.py::test_b``)."""

    __test__ = False
    model_config = ConfigDict(frozen=True)

    id: str
    outcome: TestOutcome
    duration_s: float = 0.0
    message: str = ""
    file: str | None = None
    line: int | None = None


class Check(BaseModel):
    """A command to run in the work tree, by argv, with its limit in seconds.

    ``framework`` names the per-test reporter (``pytest``) or None for command level only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    argv: list[str] = Field(min_length=1)
    framework: str | None = None
    timeout_s: float = 900.0


class CheckReport(BaseModel):
    """What one check reported in one place. ``exit_code`` is None when it was killed or never started."""

    model_config = ConfigDict(frozen=True)

    check: Check
    exit_code: int | None
    timed_out: bool = False
    tests: list[TestCase] = Field(default_factory=list)
    duration_s: float = 0.0
    log: str = ""
    log_sha256: str = ""
    collected: int | None = None

    @property
    def green(self) -> bool:
        """Exit code 0 and, where tests are reported, at least one and none red."""
        return self.exit_code == 0 and not self.red_ids and (self.check.framework is None or bool(self.tests))

    @property
    def red_ids(self) -> set[str]:
        """Ids of the tests that failed or ended in an error."""
        return {t.id for t in self.tests if t.outcome in (TestOutcome.FAILED, TestOutcome.ERROR)}

    @property
    def passed_ids(self) -> set[str]:
        """Ids of the tests that passed."""
        return {t.id for t in self.tests if t.outcome is TestOutcome.PASSED}
