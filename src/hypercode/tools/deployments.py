"""deploy_*: an app of the task in a container, at a preview's address that signed-in people can open."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from hypercode.domain.deployment import DeploymentStatus, HealthCheck
from hypercode.domain.errors import HyperCodeError, NotFound
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.sandbox.apps import AppRef, Port
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.deployments import to_domain
from hypercode.store.tables import DeploymentRow
from hypercode.tools.containers import Env, Image, image_ref
from hypercode.tools.deploying import Deploying, Wanted
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import checked_env

DeploymentId = Annotated[str, StringConstraints(pattern=r"^dep_[0-9a-f]{32}$")]


class DeployArguments(Arguments):
    """What to deploy; ``replaces`` names the deployment whose address it takes over once it is healthy."""

    image: Image
    port: Port
    health: HealthCheck = Field(default_factory=HealthCheck)
    command: list[str] = Field(default_factory=list, max_length=200)
    env: Env = Field(default_factory=dict)
    cpus: float = Field(default=1.0, gt=0, le=64)
    memory_mb: int = Field(default=512, ge=16, le=65_536)
    replaces: DeploymentId | None = None

    @model_validator(mode="after")
    def _plain(self) -> "DeployArguments":
        if any("\0" in word for word in (*self.command, *self.env.values())):
            raise ValueError("a command holds no NUL character")
        return self

    def touched(self) -> Touched:
        """The image and the command."""
        return Touched(argv=tuple(self.command), image=self.image)


class DeploymentArguments(Arguments):
    """Which deployment."""

    deployment_id: DeploymentId


class DeployStatusArguments(Arguments):
    """Which deployment; None means all of the task."""

    deployment_id: DeploymentId | None = None


class DeploymentInfo(Closed):
    """A deployment; ``preview_url`` is where signed-in people open what serves."""

    deployment_id: str
    status: str
    detail: str
    image: str
    port: int
    replaces: str | None
    preview_url: str
    running: bool


class DeploymentHealth(Closed):
    """What the health check saw."""

    ok: bool
    attempts: int
    last_error: str


class DeployResult(Closed):
    """The deployment, and what became of it; ``rolled_back``: what served before serves on."""

    deployment: DeploymentInfo
    health: DeploymentHealth
    rolled_back: bool
    log_tail: str


class DeploymentList(Closed):
    """Deployments, newest first."""

    deployments: list[DeploymentInfo]


class Deployments:
    """The group's tools need the database: deployments outlive their run."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._ttl_s = settings.sandbox.deployment_ttl_s
        self._preview_url = settings.gateway.preview_url

    def _deploying(self, context: ToolContext) -> Deploying:
        return Deploying(self._database, context.sandboxes, self._ttl_s)

    def tools(self) -> Sequence[Tool[Any]]:
        """The group's tools."""
        return (
            Tool(
                "deploy",
                "Run an image as an app behind a preview address. It serves once its health check passes.",
                DeployArguments,
                DeployResult,
                self.deploy,
                read_only=False,
                open_world=True,
                errors=("NOT_FOUND", "CONFLICT", "POLICY_DENIED"),
            ),
            Tool(
                "deploy_status",
                "Show the task's deployments, or one of them.",
                DeployStatusArguments,
                DeploymentList,
                self.deploy_status,
                read_only=True,
                errors=("NOT_FOUND",),
            ),
            Tool(
                "deploy_rollback",
                "Let the deployment before this one serve again, and remove this one.",
                DeploymentArguments,
                DeploymentInfo,
                self.deploy_rollback,
                read_only=False,
                destructive=True,
                errors=("NOT_FOUND", "CONFLICT"),
            ),
            Tool(
                "deploy_stop",
                "Stop and remove a deployment.",
                DeploymentArguments,
                DeploymentInfo,
                self.deploy_stop,
                read_only=False,
                destructive=True,
                idempotent=True,
                errors=("NOT_FOUND",),
            ),
        )

    async def deploy(self, context: ToolContext, args: DeployArguments) -> ToolReply:
        """Deploy, and wait for health; an app that does not get healthy is a result, with its last output."""
        await context.report("starting the container, then asking for its health")
        done = await self._deploying(context).deploy(
            context.grant,
            Wanted(
                image=image_ref(context, args.image),
                port=args.port,
                health=args.health,
                command=args.command,
                env=checked_env(args.env),
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                replaces=args.replaces,
            ),
        )
        health = DeploymentHealth(
            ok=done.health.ok, attempts=done.health.attempts, last_error=done.health.last_error
        )
        result = DeployResult(
            deployment=await self._info(context, done.row),
            health=health,
            rolled_back=not health.ok and args.replaces is not None,
            log_tail=done.log_tail,
        )
        ending = "" if health.ok else f"\nNot healthy: {health.last_error}\n{done.log_tail}"
        return ToolReply(result, cap_text(_line(result.deployment) + ending)[0])

    async def deploy_status(self, context: ToolContext, args: DeployStatusArguments) -> ToolReply:
        """Show deployments of the task."""
        rows = await self._deploying(context).of_task(context.grant.task_id)
        if args.deployment_id is not None:
            rows = [row for row in rows if row.id == args.deployment_id]
            if not rows:
                raise NotFound(f"there is no deployment {args.deployment_id}")
        shown = [await self._info(context, row) for row in rows[:50]]
        text = "\n".join(_line(info) for info in shown) or "There are no deployments."
        return ToolReply(DeploymentList(deployments=shown), cap_text(text)[0])

    async def deploy_rollback(self, context: ToolContext, args: DeploymentArguments) -> ToolReply:
        """Go back to the deployment before."""
        row = await self._deploying(context).rollback(context.grant.task_id, args.deployment_id)
        return self._reply(await self._info(context, row))

    async def deploy_stop(self, context: ToolContext, args: DeploymentArguments) -> ToolReply:
        """Stop a deployment."""
        row = await self._deploying(context).stop(
            context.grant.task_id, args.deployment_id, "stopped by the agent"
        )
        return self._reply(await self._info(context, row))

    def _reply(self, info: DeploymentInfo) -> ToolReply:
        return ToolReply(info, _line(info))

    async def _info(self, context: ToolContext, row: DeploymentRow) -> DeploymentInfo:
        shown = to_domain(row)
        return DeploymentInfo(
            deployment_id=shown.id,
            status=shown.status.value,
            detail=shown.detail,
            image=shown.image,
            port=shown.port,
            replaces=shown.replaces_id,
            preview_url=self._preview_url(row.preview_id),
            running=shown.status.live and await _runs(context, row),
        )


async def _runs(context: ToolContext, row: DeploymentRow) -> bool:
    try:
        asked = AppRef(container_id=row.container_id, owner=row.task_id)
        return (await context.sandboxes.apps.show(asked)).status == "running"
    except HyperCodeError:
        return False


def _line(info: DeploymentInfo) -> str:
    where = f" at {info.preview_url}" if info.status == DeploymentStatus.SERVING.value else ""
    why = f": {info.detail}" if info.detail else ""
    return f"{info.deployment_id} ({info.image}, port {info.port}) is {info.status}{where}{why}"
