"""What may be said of a result, and no more."""

from hypercode.domain.attestation import Grade, Verdict

_GRADES = {
    Grade.FIXED: "Fixed",
    Grade.AGENT_TESTS: "Shown by the agent's own tests only",
    Grade.REGRESSION_ONLY: "Nothing broke, and nothing was shown to be fixed",
    Grade.UNPROVED: "Not proved",
}


def sentence(head_tree: str, image_id: str) -> str:
    """The honest sentence under every statement."""
    return (
        f"At tree {head_tree}, in image {image_id}, the frozen checks reported these results. "
        "This does not prove that the code is right, nor that it did not falsify its own report."
    )


def words(verdict: Verdict, *, head_tree: str, image_id: str) -> str:
    """A verdict in a few sentences for a person."""
    parts = [f"{_GRADES[verdict.grade]}: {verdict.reason}."]
    parts.append(
        f"Tests at base: {verdict.base_passed} passed, {verdict.base_failed} failed; "
        f"at head: {verdict.head_passed} passed, {verdict.head_failed} failed."
    )
    if verdict.environment_changed:
        parts.append(
            "The change touches dependency files; the checks ran in the environment of the base commit."
        )
    if told := [finding for finding in verdict.findings if finding.blocking]:
        parts.append(f"{len(told)} finding{'s' if len(told) > 1 else ''} against it: {told[0].message}.")
    parts.append(sentence(head_tree, image_id))
    return " ".join(parts)
