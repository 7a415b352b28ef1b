"""What a run may have beside its sandbox: images that it builds, and containers that it starts from them.

A container's owner is a run, or a task when it is a deployment, which outlives its run. Whatever is not the
owner's is not there (``NotFound``). No request can name a mount, a capability, a network, a user or a port of
the host: ``profiles.deployed_config`` alone says what such a container may do.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints

from hypercode.domain.web_exchange import WebAnswer, WebRequest
from hypercode.sandbox.base import ExecRequest, ExecResult, Progress, Strict

ENVIRONMENT = "environment"
"""The name by which a run calls the image of its own sandbox."""

Port = Annotated[int, Field(ge=1, le=65535)]
ContainerId = Annotated[str, StringConstraints(pattern=r"^ctr_[0-9a-f]{32}$")]
ImageId = Annotated[str, StringConstraints(pattern=r"^img_[0-9a-f]{32}$")]


class ImageRef(Strict):
    """An image as a run may name it: one that it built, ``environment``, or one of the allow-list.

    ``run_id`` says whose images count, ``sandbox_id`` whose environment.
    """

    name: str = Field(min_length=1, max_length=300)
    run_id: str
    sandbox_id: str | None = None


class BuildImage(Strict):
    """Build an image from a Dockerfile in a workspace; it is known as ``image_id`` afterwards."""

    image_id: ImageId
    run_id: str
    workspace_id: str
    sandbox_id: str | None = None
    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None
    build_args: dict[str, str] = Field(default_factory=dict)
    timeout_s: float = Field(default=600.0, gt=0, le=3600)


class BuiltImage(Strict):
    """What a build came to: the image's digest at the engine and its size, or the step that ``failed``.

    ``notes`` say what of the Dockerfile was left out; ``log`` is the end of what the steps said.
    """

    image_id: str
    digest: str
    size: int
    failed: str | None
    notes: list[str]
    log: str


class RunApp(Strict):
    """Start a container of an owner. ``command`` empty means the image's own."""

    container_id: ContainerId
    kind: Literal["app", "deployment"]
    owner: str
    workspace_id: str = ""
    image: ImageRef
    command: list[str] = Field(default_factory=list, max_length=1000)
    env: dict[str, str] = Field(default_factory=dict, max_length=100)
    ports: list[Port] = Field(default_factory=list[int], max_length=16)
    memory_mb: int | None = Field(default=None, ge=16)
    cpus: float | None = Field(default=None, gt=0)


class AppRef(Strict):
    """Names a container, and who asks."""

    container_id: ContainerId
    owner: str


class AppsOf(Strict):
    """Names an owner."""

    owner: str


class AppPort(Strict):
    """A port that the container was started for, and whether something listens there now."""

    port: int
    listening: bool


class AppInfo(Strict):
    """A container as its owner may see it: no value of a variable, nothing of the host."""

    container_id: str
    kind: str
    image: str
    digest: str
    status: Literal["created", "running", "exited"]
    exit_code: int | None
    out_of_memory: bool
    started_at: str
    command: list[str]
    env_names: list[str]
    ports: list[AppPort]
    memory_mb: int
    cpus: float


class AppList(Strict):
    """An owner's containers, oldest first."""

    containers: list[AppInfo]


class AppLogs(Strict):
    """The last ``tail`` lines, or those from ``since`` (an earlier reply's ``next``) on."""

    container_id: ContainerId
    owner: str
    tail: int = Field(default=200, ge=1, le=5000)
    since: str | None = Field(default=None, pattern=r"^\d{1,12}\.\d{9}$")


class AppOutput(Strict):
    """Output of a container, both streams in order; ``next`` is where the next reading goes on."""

    text: str
    next: str | None


class AppExec(Strict):
    """Run a command in a container, in its working directory."""

    container_id: ContainerId
    owner: str
    request: ExecRequest


class AppHttp(Strict):
    """Send an HTTP request to a port of a container; the answer's head is waited for ``timeout_s`` at most."""

    container_id: ContainerId
    owner: str
    port: Port
    request: WebRequest
    timeout_s: float = Field(default=60.0, gt=0, le=600)


class Apps(Protocol):
    """The verbs of sandboxd for a run's own images and containers."""

    async def build(self, request: BuildImage, progress: Progress) -> BuiltImage:
        """Build an image; raises InvalidArgument for a Dockerfile that asks for what is not allowed."""
        ...

    async def run(self, request: RunApp) -> AppInfo:
        """Start a container; an id that runs already is returned as it is."""
        ...

    async def show(self, request: AppRef) -> AppInfo:
        """Return what the owner may know of a container."""
        ...

    async def owned(self, request: AppsOf) -> AppList:
        """Return the owner's containers."""
        ...

    async def logs(self, request: AppLogs) -> AppOutput:
        """Return a container's output."""
        ...

    async def exec(self, request: AppExec) -> ExecResult:
        """Run a command in a container; its process tree is dead when this returns or is cancelled."""
        ...

    async def stop(self, request: AppRef) -> AppInfo:
        """Ask the container's program to end, and kill it when it does not; its output stays."""
        ...

    async def remove(self, request: AppRef) -> None:
        """Kill and remove a container; one that is gone is fine."""
        ...

    def http(self, request: AppHttp) -> AbstractAsyncContextManager[WebAnswer]:
        """Ask the app inside; raises Unavailable when nothing answers on the port."""
        ...
