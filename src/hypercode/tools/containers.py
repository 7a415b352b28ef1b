"""container_*: images that a run builds and containers that it starts, beside its sandbox. Its own only.

What is not in these schemas can't be asked for: no privilege, namespace, device, capability, mount, user, network,
security option or port of the host.
"""

import re
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from hypercode.domain.ids import new_id
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import DEFAULT_CAP, HARD_CAP, cap_text
from hypercode.mcp_protocol.cursors import Paged
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.apps import (
    AppExec,
    AppInfo,
    AppLogs,
    AppRef,
    AppsOf,
    BuildImage,
    ImageRef,
    Port,
    RunApp,
)
from hypercode.sandbox.base import ExecRequest
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import Executed, checked_env, ending

ContainerId = Annotated[str, StringConstraints(pattern=r"^ctr_[0-9a-f]{32}$")]
Image = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"),
    Field(
        description="An image_id of container_build, 'environment' (the sandbox's own image), or an allowed one."
    ),
]
Env = Annotated[dict[str, str], Field(max_length=50)]
_ARG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class BuildArguments(Arguments):
    """What to build; ``dockerfile`` None means the context's Dockerfile."""

    context: WorkspacePath = "."
    dockerfile: WorkspacePath | None = None
    target: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    build_args: Env = Field(default_factory=dict)
    timeout_s: float = Field(default=600.0, gt=0, le=1800)

    @model_validator(mode="after")
    def _names(self) -> "BuildArguments":
        if not all(_ARG_NAME.fullmatch(name) for name in self.build_args):
            raise ValueError("a build argument is named like a variable")
        return self


class Built(Closed):
    """The image, or the step at which the build failed."""

    ok: bool
    image_id: str | None
    digest: str | None
    size: int
    failed: str | None
    notes: list[str]
    log: str


class RunArguments(Arguments):
    """What to start; ``command`` empty means the image's own."""

    image: Image
    command: list[str] = Field(default_factory=list, max_length=200)
    env: Env = Field(default_factory=dict)
    ports: list[Port] = Field(default_factory=list[int], max_length=16)
    cpus: float = Field(default=1.0, gt=0, le=64)
    memory_mb: int = Field(default=512, ge=16, le=65_536)

    @model_validator(mode="after")
    def _plain(self) -> "RunArguments":
        if any("\0" in word for word in (*self.command, *self.env.values())):
            raise ValueError("a command holds no NUL character")
        return self

    def touched(self) -> Touched:
        """The image and the command."""
        return Touched(argv=tuple(self.command), image=self.image)


class ContainerArguments(Arguments):
    """Which container."""

    container_id: ContainerId


class ContainerPort(Closed):
    """A port that the container was started for, and whether something listens there now."""

    port: int
    listening: bool


class Container(Closed):
    """A container; of its variables only the names are shown."""

    container_id: str
    kind: str
    image: str
    digest: str
    status: str
    exit_code: int | None
    out_of_memory: bool
    started_at: str
    command: list[str]
    env_names: list[str]
    ports: list[ContainerPort]
    memory_mb: int
    cpus: float


class ListArguments(Arguments):
    """Nothing to choose."""


class ContainerList(Closed):
    """The run's containers, oldest first."""

    containers: list[Container]


class LogsArguments(Paged):
    """The last ``tail`` lines, or what came after ``cursor`` (an earlier ``next_cursor``)."""

    container_id: ContainerId
    tail: int = Field(default=200, ge=1, le=5000)


class Logs(Closed):
    """Output of a container, both streams in order."""

    text: str
    next_cursor: str | None
    truncated: bool


class ContainerExecArguments(Arguments):
    """A command in a container."""

    container_id: ContainerId
    argv: list[str] = Field(min_length=1, max_length=1000)
    timeout_s: float = Field(default=60.0, gt=0, le=900)
    max_output: int = Field(default=DEFAULT_CAP, ge=256, le=HARD_CAP // 2)

    @model_validator(mode="after")
    def _plain(self) -> "ContainerExecArguments":
        if any("\0" in word for word in self.argv):
            raise ValueError("a command holds no NUL character")
        return self

    def touched(self) -> Touched:
        """The command's words."""
        return Touched(argv=tuple(self.argv))


class Removed(Closed):
    """The container that is gone."""

    container_id: str


async def container_build(context: ToolContext, args: BuildArguments) -> ToolReply:
    """Build an image from the workspace; a build that fails is a result, with its log."""

    async def progress(_phase: str, message: str) -> None:
        await context.report(message)

    default = "Dockerfile" if args.context == "." else f"{args.context}/Dockerfile"
    built = await context.sandboxes.apps.build(
        BuildImage(
            image_id=new_id("image"),
            run_id=context.grant.run_id,
            workspace_id=context.grant.workspace_id,
            sandbox_id=context.sandbox_id,
            context=args.context,
            dockerfile=args.dockerfile or default,
            target=args.target,
            build_args=args.build_args,
            timeout_s=args.timeout_s,
        ),
        progress,
    )
    ok = built.failed is None
    result = Built(
        ok=ok,
        image_id=built.image_id or None,
        digest=built.digest or None,
        size=built.size,
        failed=built.failed,
        notes=built.notes,
        log=built.log,
    )
    words = f"Built {built.image_id}." if ok else f"The build failed at {built.failed}"
    return ToolReply(result, cap_text("\n".join([words, *built.notes, built.log]))[0])


async def container_run(context: ToolContext, args: RunArguments) -> ToolReply:
    """Start a container."""
    grant = context.grant
    info = await context.sandboxes.apps.run(
        RunApp(
            container_id=new_id("container"),
            kind="app",
            owner=grant.run_id,
            workspace_id=grant.workspace_id,
            image=image_ref(context, args.image),
            command=args.command,
            env=checked_env(args.env),
            ports=args.ports,
            memory_mb=args.memory_mb,
            cpus=args.cpus,
        )
    )
    return _shown(info)


def image_ref(context: ToolContext, name: str) -> ImageRef:
    """Return an image's name with whose images count."""
    return ImageRef(name=name, run_id=context.grant.run_id, sandbox_id=context.sandbox_id)


def _ref(context: ToolContext, container_id: str) -> AppRef:
    return AppRef(container_id=container_id, owner=context.grant.run_id)


async def container_inspect(context: ToolContext, args: ContainerArguments) -> ToolReply:
    """Show a container, and which of its ports are listened on."""
    return _shown(await context.sandboxes.apps.show(_ref(context, args.container_id)))


async def container_list(context: ToolContext, _args: ListArguments) -> ToolReply:
    """Show the run's containers."""
    found = await context.sandboxes.apps.owned(AppsOf(owner=context.grant.run_id))
    shown = [container(info) for info in found.containers]
    text = "\n".join(_line(info) for info in found.containers) or "There are no containers."
    return ToolReply(ContainerList(containers=shown), cap_text(text)[0])


async def container_logs(context: ToolContext, args: LogsArguments) -> ToolReply:
    """Show a container's output."""
    run_id = context.grant.run_id
    since = context.cursors.opened(run_id, args) or None
    asked = AppLogs(container_id=args.container_id, owner=run_id, tail=args.tail, since=since)
    output = await context.sandboxes.apps.logs(asked)
    text, cut = cap_text(output.text)
    cursor = None if output.next is None else context.cursors.sealed(run_id, args, output.next)
    return ToolReply(Logs(text=text, next_cursor=cursor, truncated=cut), text or "(nothing)")


async def container_exec(context: ToolContext, args: ContainerExecArguments) -> ToolReply:
    """Run a command in a container and wait for it; its process tree is dead afterwards."""
    request = ExecRequest(argv=args.argv, timeout_s=args.timeout_s, max_output=args.max_output)
    asked = AppExec(container_id=args.container_id, owner=context.grant.run_id, request=request)
    done = await context.sandboxes.apps.exec(asked)
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
    )
    return ToolReply(result, cap_text(f"{ending(done)}\n{stdout}\n{stderr}".strip(), args.max_output)[0])


async def container_stop(context: ToolContext, args: ContainerArguments) -> ToolReply:
    """End a container's program; its output can still be read."""
    return _shown(await context.sandboxes.apps.stop(_ref(context, args.container_id)))


async def container_rm(context: ToolContext, args: ContainerArguments) -> ToolReply:
    """Remove a container, running or not."""
    await context.sandboxes.apps.remove(_ref(context, args.container_id))
    return ToolReply(Removed(container_id=args.container_id), f"Removed {args.container_id}.")


def container(info: AppInfo) -> Container:
    """Return a container as agents see it."""
    return Container.model_validate(info.model_dump())


def _shown(info: AppInfo) -> ToolReply:
    return ToolReply(container(info), _line(info))


def _line(info: AppInfo) -> str:
    ending = "" if info.exit_code is None else f" with exit code {info.exit_code}"
    memory = ", out of memory" if info.out_of_memory else ""
    ports = "".join(f", port {each.port} {'open' if each.listening else 'closed'}" for each in info.ports)
    return f"{info.container_id} ({info.image}): {info.status}{ending}{memory}{ports}"


CONTAINER_TOOLS: tuple[Tool[Any], ...] = (
    Tool(
        "container_build",
        "Build an image from a Dockerfile in the workspace. No network; FROM an own or an allowed image.",
        BuildArguments,
        Built,
        container_build,
        read_only=False,
        errors=("NOT_FOUND", "CONFLICT", "POLICY_DENIED"),
    ),
    Tool(
        "container_run",
        "Start a container from an image. It has no network and a read-only root; /tmp is writable.",
        RunArguments,
        Container,
        container_run,
        read_only=False,
        errors=("NOT_FOUND", "CONFLICT", "POLICY_DENIED"),
    ),
    Tool(
        "container_inspect",
        "Show a container of this run and which of its ports are open.",
        ContainerArguments,
        Container,
        container_inspect,
        read_only=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "container_list",
        "Show the containers of this run.",
        ListArguments,
        ContainerList,
        container_list,
        read_only=True,
    ),
    Tool(
        "container_logs",
        "Show a container's output: its last lines, or what came after a cursor.",
        LogsArguments,
        Logs,
        container_logs,
        read_only=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "container_exec",
        "Run a command in a container of this run.",
        ContainerExecArguments,
        Executed,
        container_exec,
        read_only=False,
        destructive=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "container_stop",
        "Stop a container of this run; its output stays.",
        ContainerArguments,
        Container,
        container_stop,
        read_only=False,
        destructive=True,
        idempotent=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "container_rm",
        "Remove a container of this run.",
        ContainerArguments,
        Removed,
        container_rm,
        read_only=False,
        destructive=True,
        errors=("NOT_FOUND",),
    ),
)
"""The group's tools."""
