"""The form that a policy is written in, closed: what this does not name is refused. Its JSON Schema is published."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, StringConstraints, model_validator

from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.matchers import MOST, Form, Matchers, PathGlob
from hypercode.policy.rules import Effect

RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,80}$")]
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]

LOCK_FILES = (
    "**/uv.lock", "**/poetry.lock", "**/pdm.lock", "**/Pipfile.lock", "**/pylock.toml", "**/package-lock.json",
    "**/npm-shrinkwrap.json", "**/yarn.lock", "**/pnpm-lock.yaml", "**/bun.lock", "**/bun.lockb", "**/deno.lock",
    "**/Cargo.lock", "**/go.sum", "**/Gemfile.lock", "**/composer.lock", "**/gradle.lockfile", "**/flake.lock",
)  # fmt: skip
"""What ``protect_lock_files`` adds to the protected paths."""


class RuleForm(Matchers):
    """One rule. It matches a call of one of its tools that matches all of its matchers."""

    id: RuleId = Field(description="Stands in decisions and audit rows; one of its kind in the policy.")
    effect: Effect = Field(
        description="allow, ask (a person) or forbid. A forbid wins over an ask over an allow."
    )
    reason: Text | None = Field(default=None, description="Told to whoever is refused or asked.")
    tools: tuple[ToolName, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Names of tools."
    )
    groups: tuple[GroupName, ...] | None = Field(
        default=None, min_length=1, max_length=MOST, description="Names of groups of tools."
    )
    protected: Literal[True] | None = Field(
        default=None, description="The policy's protected paths, in place of `paths`."
    )

    @model_validator(mode="after")
    def _names_something(self) -> "RuleForm":
        if self.tools is None and self.groups is None:
            raise ValueError("it names no tools: give tools or groups")
        if self.protected and self.paths is not None:
            raise ValueError("give paths or protected, not both")
        return self


class CaseForm(Form):
    """A row of a test table: a call, and what the policy says to it."""

    name: Text | None = Field(default=None, description="What the row shows.")
    role: AgentRole
    tool: ToolName
    paths: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    image: str | None = None
    hosts: tuple[str, ...] = ()
    ref: str | None = None
    secrets: tuple[str, ...] = ()
    size: int | None = Field(default=None, ge=0)
    expect: Literal["allow", "ask", "deny"]
    rule: str | None = Field(default=None, description="The rule that decides; `default` where none matches.")

    def call(self) -> ToolCall:
        """The call that the row describes; its paths are taken as they are."""
        touched = Touched(self.paths, self.argv, self.image, self.hosts, self.ref, self.secrets, self.size)
        return ToolCall(self.tool, touched)


class TableForm(Form):
    """A table in a file of its own."""

    tests: tuple[CaseForm, ...] = Field(min_length=1, max_length=10_000)


class PolicyForm(Form):
    """A policy. What no rule allows is denied."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,80}$")]
    version: int = Field(
        ge=1, description="Yours to raise. The sha256 of the content stands beside it in the audit."
    )
    extends: Literal["built-in"] | None = Field(
        default=None,
        description="Add these rules, groups and protected paths to those of the built-in policy.",
    )
    groups: dict[GroupName, Annotated[tuple[ToolName, ...], Field(min_length=1, max_length=MOST)]] = Field(
        default={}, description="Named sets of tools, for rules of this policy."
    )
    protected: tuple[PathGlob, ...] = Field(
        default=(), max_length=MOST, description="Paths that need a person, in a call and in the final diff."
    )
    protect_lock_files: bool = Field(
        default=False, description="Lock files of package managers are protected too."
    )
    roles: dict[AgentRole, Annotated[tuple[RuleForm, ...], Field(max_length=1000)]] = Field(
        description="The rules of each role. A role that is not named may do nothing."
    )
    tests: tuple[CaseForm, ...] = Field(
        default=(), max_length=10_000, description="A table for `hypercode policy test`; it decides nothing."
    )


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    form = _without_null(PolicyForm.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **form, "title": "HyperCode policy"}


def _without_null(schema: Any) -> Any:
    """A field is left out, and never null; nothing else about a field is a matter of choice."""
    if isinstance(schema, list):
        return [_without_null(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    said = {key: _without_null(value) for key, value in cast(dict[str, Any], schema).items()}
    if {"type": "null"} in said.get("anyOf", []):
        (only,) = (each for each in said.pop("anyOf") if each != {"type": "null"})
        del said["default"]
        return {**only, **said}
    return said
