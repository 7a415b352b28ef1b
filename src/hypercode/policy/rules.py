"""The rules: closed, typed data. Default deny, a forbid wins over an ask, an ask over an allow."""

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hypercode.domain.role import AgentRole


class Effect(StrEnum):
    """What a rule does to the calls that it matches."""

    ALLOW = "allow"
    ASK = "ask"
    FORBID = "forbid"


@lru_cache(maxsize=1024)
def path_pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob over canonical paths: ``*`` stays in a segment, ``**/`` and ``/**`` cross them.

    Case is ignored: a clone on a case-insensitive disk would see one file where we see two.
    """
    parts: list[str] = []
    position = 0
    while position < len(glob):
        if glob.startswith("**/", position):
            parts.append("(?:[^/]+/)*")
            position += 3
        elif glob.startswith("**", position):
            parts.append(".*")
            position += 2
        else:
            parts.append("[^/]*" if glob[position] == "*" else re.escape(glob[position]))
            position += 1
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _plain(glob: str) -> str:
    if glob.startswith("/") or ".." in glob.split("/"):
        raise ValueError("a path glob is relative to the workspace")
    return glob


PathGlob = Annotated[str, AfterValidator(_plain)]


class Rule(BaseModel):
    """Matches calls of these tools; with ``paths``, only those that name a path matching one of the globs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9._-]{1,80}$")
    effect: Effect
    tools: frozenset[str]
    paths: tuple[PathGlob, ...] | None = None


class Policy(BaseModel):
    """The rules of each role. A role that is not named may do nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    roles: dict[AgentRole, tuple[Rule, ...]]

    @property
    def sha256(self) -> str:
        """The hash that stands in every audit row."""
        ordered = {
            role.value: [
                (rule.id, rule.effect.value, sorted(rule.tools), rule.paths) for rule in self.roles[role]
            ]
            for role in sorted(self.roles)
        }
        return hashlib.sha256(f"{self.name}:{self.version}:{ordered!r}".encode()).hexdigest()


READS = frozenset({"fs_read", "fs_search", "fs_tree", "git_status", "git_diff"})
WRITES = frozenset({"fs_write", "fs_edit"})

ARCHITECT_RULES = (
    Rule(id="architect.reads", effect=Effect.ALLOW, tools=READS),
    Rule(
        id="architect.plans",
        effect=Effect.ALLOW,
        tools=frozenset({"plan_submit", "plan_status", "task_delegate"}),
    ),
)

CODER_RULES = (
    Rule(id="coder.reads", effect=Effect.ALLOW, tools=READS),
    Rule(id="coder.writes", effect=Effect.ALLOW, tools=WRITES),
    Rule(
        id="coder.works",
        effect=Effect.ALLOW,
        tools=frozenset({"sh_exec", "git_commit", "test_run", "repair_failing_test"}),
    ),
    Rule(
        id="coder.no_git_internals",
        effect=Effect.FORBID,
        tools=WRITES,
        paths=("**/.git", "**/.git/**"),
    ),
    Rule(
        id="coder.asks_for_protected_paths",
        effect=Effect.ASK,
        tools=WRITES,
        paths=(
            "**/.gitattributes",
            "**/.gitmodules",
            "**/.env",
            ".github/workflows/**",
            ".gitlab-ci.yml",
            "**/.vscode/**",
            "**/.idea/**",
            "**/.claude/**",
            "**/.cursor/**",
            "**/.mcp.json",
        ),
    ),
)

BUILT_IN = Policy(
    name="built-in",
    version=1,
    roles={AgentRole.ARCHITECT: ARCHITECT_RULES, AgentRole.CODER: CODER_RULES},
)
"""What holds when nobody wrote another policy."""
