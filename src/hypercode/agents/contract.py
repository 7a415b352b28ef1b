"""What a run is held to: the goal, the checks that decide, and what is known of the repository."""

from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.check import Check
from hypercode.mcp_protocol.quoting import wrapped

SHOWN_RED = 40


class TaskContract(BaseModel):
    """Pinned for the whole run, never compacted away. ``notes`` is the repository's own AGENTS.md and ``memory``
    what earlier runs of the project left; both are data, and ``memory`` comes marked as such.
    """

    model_config = ConfigDict(frozen=True)

    goal: str
    checks: list[Check] = Field(default_factory=list)
    base_red: list[str] = Field(default_factory=list)
    notes: str = ""
    memory: str = ""
    facts: dict[str, str] = Field(default_factory=dict)

    def words(self) -> str:
        """The contract as the first message of the run; the same text for the same contract."""
        parts = [f"# Task\n{self.goal.strip()}", self._check_words()]
        if self.facts:
            parts.append(
                "# Repository\n" + "\n".join(f"- {name}: {fact}" for name, fact in self.facts.items())
            )
        if self.notes.strip():
            parts.append("# The repository's own notes\n" + wrapped("AGENTS.md", self.notes))
        if self.memory.strip():
            parts.append("# From earlier runs of this project\n" + self.memory.strip())
        return "\n\n".join(parts)

    def _check_words(self) -> str:
        if not self.checks:
            return (
                "# Checks\nNo check was found in this repository. The platform can prove less without one: "
                "a test that fails before your change and passes after it helps most."
            )
        lines = ["# Checks", "The platform runs these itself, in a fresh container, and only they decide:"]
        lines += [f"- `{' '.join(check.argv)}`" for check in self.checks]
        if self.base_red:
            lines.append(f"Red before any change ({len(self.base_red)}):")
            lines += [f"- {test}" for test in self.base_red[:SHOWN_RED]]
            if len(self.base_red) > SHOWN_RED:
                lines.append(f"- and {len(self.base_red) - SHOWN_RED} more")
        else:
            lines.append("All tests were green before any change.")
        return "\n".join(lines)
