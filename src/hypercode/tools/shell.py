"""sh_exec: a command in the run's sandbox. The boundary is the container, not what stands in the arguments."""

import re
from typing import Annotated

from mcp import types
from pydantic import Field, model_validator

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.secret import KEPT_VARIABLES, SecretName
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import DEFAULT_CAP, HARD_CAP, cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.mcp_protocol.uris import ProcLog
from hypercode.sandbox.base import ExecRequest, ExecResult
from hypercode.tools.progress import followed
from hypercode.tools.registry import Tool, ToolContext, ToolReply

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


SecretNames = Annotated[
    list[SecretName],
    Field(max_length=20, description="Names of secrets (secret_list) that this process gets as variables."),
]
NO_SECRETS: SecretNames = Field(default_factory=list)


class CommandArguments(Arguments):
    """Either ``argv``, run as it stands, or ``script``, run by ``sh -c``."""

    argv: list[str] = Field(default_factory=list, max_length=1000)
    script: str = Field(default="", max_length=100_000)
    cwd: WorkspacePath = "."
    env: dict[str, str] = Field(default_factory=dict, max_length=50)
    secrets: SecretNames = NO_SECRETS

    @model_validator(mode="after")
    def _one_command(self) -> "CommandArguments":
        if bool(self.argv) == bool(self.script):
            raise ValueError("give either argv or script")
        if any("\0" in word for word in (*self.argv, self.script, *self.env.values())):
            raise ValueError("a command holds no NUL character")
        return self

    @property
    def words(self) -> list[str]:
        """The command as it will run."""
        return list(self.argv) or ["sh", "-c", self.script]

    def touched(self) -> Touched:
        """The command's words, and the secrets it is given."""
        return Touched(argv=tuple(self.words), secrets=tuple(self.secrets))


class ExecArguments(CommandArguments):
    """Either ``argv``, run as it stands, or ``script``, run by ``sh -c``."""

    timeout_s: float = Field(default=120.0, gt=0, le=900)
    stdin: str = Field(default="", max_length=1_000_000)
    max_output: int = Field(default=DEFAULT_CAP, ge=256, le=HARD_CAP // 2)


class Executed(Closed):
    """How a command ended; output beyond ``max_output`` is cut, and ``resource_uri`` then has all of it."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    stdout: str
    stderr: str
    duration_ms: float
    truncated: bool
    resource_uri: str | None = None


async def sh_exec(context: ToolContext, args: ExecArguments) -> ToolReply:
    """Run a command and wait for it; its process tree is dead afterwards."""
    request = ExecRequest(
        argv=args.words,
        cwd=args.cwd,
        env=await environment(context, args.env, args.secrets),
        stdin=args.stdin,
        timeout_s=args.timeout_s,
        max_output=args.max_output,
        log_over=args.max_output,
    )
    done = await followed(context, request)
    stdout, cut_out = cap_text(done.stdout, args.max_output)
    stderr, cut_err = cap_text(done.stderr, args.max_output)
    result = Executed(
        exit_code=done.exit_code,
        signal=done.signal,
        timed_out=done.timed_out,
        stdout=stdout,
        stderr=stderr,
        duration_ms=done.duration_ms,
        truncated=done.truncated or cut_out or cut_err,
        resource_uri=log_uri(context, done),
    )
    said, cut = cap_text(f"{ending(done)}\n{stdout}\n{stderr}".strip(), args.max_output)
    return with_log(ToolReply(result, said), result.resource_uri if result.truncated or cut else None)


def log_uri(context: ToolContext, done: ExecResult) -> str | None:
    """The address of a command's whole output, where it was kept."""
    return None if done.log_id is None else ProcLog(context.grant.run_id, done.log_id).uri


def with_log(reply: ToolReply, uri: str | None) -> ToolReply:
    """Link a reply whose output was cut to the whole of it."""
    if uri is None:
        return reply
    link = types.ResourceLink(type="resource_link", uri=uri, name="full output", mime_type="text/plain")
    return ToolReply(reply.data, f"{reply.text}\n[all of the output: resource_read {uri}]", (link,))


async def environment(context: ToolContext, env: dict[str, str], secrets: list[str]) -> dict[str, str]:
    """The variables of one process, the secrets it is given among them; raises what ``checked_env`` raises."""
    plain = checked_env(env)
    if both := sorted(set(plain) & set(secrets)):
        raise InvalidArgument(f"{', '.join(both)}: give it in env or in secrets, not in both")
    return {**plain, **(await context.use_secrets(secrets) if secrets else {})}


def checked_env(env: dict[str, str]) -> dict[str, str]:
    """Return the variables; raises InvalidArgument for names that steer loaders, git or the platform."""
    for name in env:
        if not _ENV_NAME.fullmatch(name) or KEPT_VARIABLES.fullmatch(name):
            raise InvalidArgument(f"the variable {name!r} can't be set for a command")
    return dict(env)


def ending(done: ExecResult) -> str:
    """Say in words how a command ended."""
    if done.timed_out:
        return "Stopped at its time limit."
    if done.exit_code is None:
        return f"Killed by signal {done.signal}."
    return f"Exit code {done.exit_code}."


SHELL_TOOLS = (
    Tool(
        "sh_exec",
        "Run a command in the sandbox: argv as it stands, or a script by sh -c. There is no network.",
        ExecArguments,
        Executed,
        sh_exec,
        read_only=False,
        destructive=True,
        open_world=False,
    ),
)
"""The group's tools."""
