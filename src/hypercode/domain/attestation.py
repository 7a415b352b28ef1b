"""Grades and findings: what the platform may say about a result, and no more."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Grade(StrEnum):
    """What was shown. ``verified`` is true only when the grade reaches what the task requires."""

    FIXED = "fixed"
    AGENT_TESTS = "agent_tests"
    REGRESSION_ONLY = "regression_only"
    UNPROVED = "unproved"

    def reaches(self, required: "Grade") -> bool:
        """True when this grade is at least as strong as the required one; UNPROVED reaches nothing."""
        order = [Grade.UNPROVED, Grade.REGRESSION_ONLY, Grade.AGENT_TESTS, Grade.FIXED]
        return self is not Grade.UNPROVED and order.index(self) >= order.index(required)


class Finding(BaseModel):
    """Something in the diff or the reports that a person should know before trusting the grade.

    ``blocking`` findings alone take the grade ``fixed`` away.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    path: str | None = None
    blocking: bool = False


class Verdict(BaseModel):
    """The platform's own result for a run: grade, reason in words, findings and test counts."""

    model_config = ConfigDict(frozen=True)

    grade: Grade
    reason: str
    verified: bool
    findings: list[Finding]
    now_passing: list[str]
    still_failing: list[str]
    newly_failing: list[str]
    base_passed: int
    base_failed: int
    head_passed: int
    head_failed: int
    environment_changed: bool = False
