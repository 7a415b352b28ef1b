"""One typed Settings, read from ``HYPERCODE_``-prefixed variables, built once in cli/ and passed on."""

import os
import sys
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from hypercode.domain.address import Address, port

SECRETS = Path("/run/secrets")
"""Where Docker and Kubernetes mount secrets, each a file named like its variable: hypercode_database_url."""


def default_data_dir() -> Path:
    """Where a platform that nobody configured keeps its data: root's under /var/lib, a person's under theirs."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/hypercode")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hypercode"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "hypercode"
    return Path(os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local/share"))) / "hypercode"


def worker_name(number: int) -> str:
    """The name of the first, second … worker of one machine, and of its socket."""
    return "worker" if number == 1 else f"worker-{number}"


class SandboxSettings(BaseModel):
    """Containers. Sizes in MiB, CPU in cores, times in seconds."""

    base_image: str = "python:3.13-slim"
    memory_mb: int = 2048
    cpus: float = 2.0
    pids: int = 512
    tmp_mb: int = 512
    nofile: int = 4096
    allowed_hosts: list[str] = Field(
        default_factory=lambda: ["pypi.org", "files.pythonhosted.org", "registry.npmjs.org"]
    )
    build_timeout_s: float = 900.0
    allowed_images: list[str] = Field(default_factory=lambda: ["python:3.13-slim"])
    containers_per_run: int = Field(default=8, ge=0)
    images_per_run: int = Field(default=20, ge=0)
    image_build_egress: bool = False
    deployment_ttl_s: int = Field(default=24 * 3600, ge=60)


class LlmSettings(BaseModel):
    """Models. ``base_url`` serves ``openai-compatible:<name>`` and overrides a provider's own."""

    base_url: str | None = None
    api_key: SecretStr | None = None
    default_model: str | None = None
    timeout_s: float = 300.0
    max_output_tokens: int = 8192
    stream: bool = True
    input_price_per_million: float | None = None
    output_price_per_million: float | None = None


class ApprovalSettings(BaseModel):
    """What waits for a person: how long, how long a worker holds it in memory, and who may approve."""

    expires_s: float = Field(default=24 * 3600.0, ge=1, le=48 * 3600)
    rule_days: float = Field(default=30.0, gt=0, le=366)
    held_s: float = Field(default=60.0, ge=0, le=600)
    by_another_person: bool = False


class BudgetSettings(BaseModel):
    """Budgets: how long a run waits for a top-up, and how long a tool call lasts that has no limit of its own."""

    paused_s: float = Field(default=48 * 3600.0, ge=1, le=48 * 3600)
    tool_s: float = Field(default=120.0, gt=0, le=3600)


def _named(path: object) -> object:
    """An empty variable names no file, and not the directory that a process happens to be in."""
    return None if path == "" else path


def _never(value: object) -> object:
    return None if value in ("", "never") else value


HttpAddress = Annotated[str, StringConstraints(pattern=r"^https?://")]


class ArtifactSettings(BaseModel):
    """Where artifacts and archives are: in the data directory, or in a bucket of S3-compatible storage."""

    s3_bucket: Annotated[str | None, BeforeValidator(_named)] = None
    s3_endpoint: Annotated[HttpAddress | None, BeforeValidator(_named)] = None
    s3_region: str = "us-east-1"
    s3_prefix: str = ""
    s3_access_key_file: Annotated[Path | None, BeforeValidator(_named)] = None
    s3_secret_key_file: Annotated[Path | None, BeforeValidator(_named)] = None


class RetentionSettings(BaseModel):
    """When the rows of old runs become archives; None, as a variable ``never``, means: not for this reason."""

    archive_after_days: Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_never)] = 90.0
    keep_mb: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_never)] = None


class RunSettings(BaseModel):
    """Workers and the queue: leases in seconds, and how many runs are worked on at once. ``None``: no limit."""

    lease_s: float = Field(default=20.0, ge=0.5, le=600)
    sweep_s: float = Field(default=5.0, ge=0.1, le=60)
    workers: int = Field(default=1, ge=1, le=64)
    per_worker: int = Field(default=8, ge=1)
    per_user: int | None = Field(default=None, ge=1)
    per_project: int | None = Field(default=None, ge=1)
    per_platform: int | None = Field(default=None, ge=1)
    steps_per_segment: int = Field(default=200, ge=2)


class GatewaySettings(BaseModel):
    """The one TCP listener."""

    host: str = "127.0.0.1"
    port: int = 8080
    allowed_roots: list[Path] = Field(default_factory=list)
    secure_cookies: bool = False
    requests_per_minute: int = Field(default=3000, ge=1)
    probes: list[str] = Field(default_factory=lambda: ["tools", "sandboxd"])
    preview_domain: str = Field(default="preview.localhost", pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")

    def preview_url(self, preview_id: str) -> str:
        """Where a preview is, for people; behind a proxy with TLS its port is the usual one."""
        scheme, port = ("https", "") if self.secure_cookies else ("http", f":{self.port}")
        return f"{scheme}://{preview_id}.{self.preview_domain}{port}/"


def _tcp(address: str) -> str:
    port(address)
    return address


TcpAddress = Annotated[str, AfterValidator(_tcp)]


class AddressSettings(BaseModel):
    """Where the processes find each other when they are not on one machine, each ``http://host:port``.

    A process listens on the port of its own address, on all its networks; without one it uses its unix socket.
    """

    sandboxd: TcpAddress | None = None
    tools: TcpAddress | None = None
    platform: TcpAddress | None = None
    verifier: TcpAddress | None = None
    worker: TcpAddress | None = None


class Settings(BaseSettings):
    """Everything that can be configured; nested sections use ``__`` (HYPERCODE_SANDBOX__MEMORY_MB)."""

    model_config = SettingsConfigDict(
        env_prefix="HYPERCODE_",
        env_nested_delimiter="__",
        extra="ignore",
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    keys_dir: Path = Field(default_factory=lambda values: values["data_dir"] / "keys")
    database_url: str | None = None
    redis_url: SecretStr | None = None
    log_level: str = "INFO"
    otlp_endpoint: str | None = None
    policy_file: Annotated[Path | None, BeforeValidator(_named)] = None
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    approvals: ApprovalSettings = Field(default_factory=ApprovalSettings)
    budgets: BudgetSettings = Field(default_factory=BudgetSettings)
    artifacts: ArtifactSettings = Field(default_factory=ArtifactSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    runs: RunSettings = Field(default_factory=RunSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    address: AddressSettings = Field(default_factory=AddressSettings)

    @property
    def runtime_dir(self) -> Path:
        """Unix sockets of the processes; short, since a socket's path holds 107 bytes."""
        return self.data_dir / "run"

    @property
    def artifacts_dir(self) -> Path:
        """Stored outputs by content hash."""
        return self.data_dir / "artifacts"

    def socket(self, process: str) -> Path:
        """The unix socket that a process (``sandboxd``, ``tools``, ``platform``, ``verifier``) listens on."""
        return self.runtime_dir / f"{process}.sock"

    def address_of(self, process: str) -> Address:
        """Where a process listens: its configured address, else its unix socket."""
        return getattr(self.address, process, None) or self.socket(process)
