"""The fixed container profiles: pure functions from what is asked to the engine's configuration.

Everything that hardens a container is here and nowhere else, so that one page shows what holds.
"""

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from hypercode.sandbox.base import Profile
from hypercode.settings import SandboxSettings

UID = 10001
USER = f"{UID}:{UID}"
HOME = "/home/sandbox"
HOSTNAME = "sandbox"
RUNTIME = "/opt/rt"
CODE = "/opt/hypercode"
PATH = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUNNER = [
    f"{RUNTIME}/lib/loader",
    "--library-path",
    f"{RUNTIME}/lib",
    f"{RUNTIME}/bin/python3",
    "-I",
    "-S",
]


def python(script: str, *arguments: str) -> list[str]:
    """Return the argv that runs a script of our code volume on our own runtime, in any image."""
    return [*RUNNER, f"{CODE}/{script}", *arguments]


@dataclass(frozen=True)
class Mount:
    """A volume (by name) or, for imports alone, a host path, at a place in the container."""

    source: str
    target: str
    read_only: bool = False
    kind: str = "volume"

    def config(self) -> dict[str, Any]:
        """Return the engine's form."""
        mount: dict[str, Any] = {
            "Type": self.kind,
            "Source": self.source,
            "Target": self.target,
            "ReadOnly": self.read_only,
        }
        if self.kind == "volume":
            # NoCopy: never take an image's files at the mount point into the volume.
            mount["VolumeOptions"] = {"NoCopy": True}
        return mount


@dataclass(frozen=True)
class ContainerSpec:
    """What differs between containers of one profile."""

    image: str
    argv: list[str]
    mounts: list[Mount]
    labels: dict[str, str]
    env: dict[str, str] = field(default_factory=dict[str, str])
    memory_mb: int | None = None
    cpus: float | None = None
    workdir: str = "/"


def seccomp_profile() -> str:
    """Return our seccomp profile as the engine's API wants it: JSON text."""
    text = resources.files("hypercode.sandbox").joinpath("seccomp.json").read_text()
    return json.dumps(json.loads(text))


def _limits(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    memory = (spec.memory_mb or settings.memory_mb) * 1024 * 1024
    return {
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": int((spec.cpus or settings.cpus) * 1_000_000_000),
        "PidsLimit": settings.pids,
        "Ulimits": [
            {"Name": "nofile", "Soft": settings.nofile, "Hard": settings.nofile},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
    }


def _hardening() -> dict[str, Any]:
    return {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", "seccomp=" + seccomp_profile()],
        "Init": True,
        "IpcMode": "private",
        "Privileged": False,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "8m", "max-file": "1"}},
        "ShmSize": 64 * 1024 * 1024,
    }


def _tmpfs(settings: SandboxSettings) -> dict[str, str]:
    owner = f"uid={UID},gid={UID}"
    size = settings.tmp_mb
    return {
        "/tmp": f"rw,exec,nosuid,nodev,size={size}m,mode=1777",
        "/run": f"rw,noexec,nosuid,nodev,size=16m,mode=0755,{owner}",
        HOME: f"rw,exec,nosuid,nodev,size={size}m,mode=0700,{owner}",
    }


def sandbox_env(extra: dict[str, str]) -> dict[str, str]:
    """Return the variables of AGENT and CHECK alike: nothing in them tells the two apart, nothing is ours."""
    base = {
        "PATH": PATH,
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "PAGER": "cat",
        "TMPDIR": "/tmp",
    }
    return {**base, **{name: value for name, value in extra.items() if not name.startswith("HYPERCODE_")}}


def helper_env() -> dict[str, str]:
    """Return the variables of a helper: git with the platform's gitdir and no configuration of theirs."""
    return {
        "PATH": PATH,
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "GIT_DIR": "/gitdir",
        "GIT_WORK_TREE": "/workspace",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": f"{CODE}/runner/gitconfig",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
    }


def sandbox_config(profile: Profile, spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of an AGENT, CHECK or HELPER container."""
    env = helper_env() if profile is Profile.HELPER else sandbox_env(spec.env)
    return _config(spec, settings, env=env, user=USER, host=_hardening())


def deployed_env(extra: dict[str, str]) -> dict[str, str]:
    """Return the variables of a container that an agent starts; its image's own, such as PATH, stay."""
    kept = {name: value for name, value in extra.items() if not name.startswith("HYPERCODE_")}
    return {"HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp", **kept}


def deployed_config(spec: ContainerSpec, volumes: list[str], settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of a container that an agent starts: a sandbox's hardening, the image's program.

    ``volumes`` are the places where the image would have volumes of its own, which nothing would bound and
    nobody remove: it gets a bounded tmpfs there.
    """
    config = _config(spec, settings, env=deployed_env(spec.env), user=USER, host=_hardening())
    owner = f"uid={UID},gid={UID}"
    places = {path: f"rw,exec,nosuid,nodev,size=64m,mode=0755,{owner}" for path in volumes}
    config["HostConfig"]["Tmpfs"] = {**places, **config["HostConfig"]["Tmpfs"]}
    return config


def import_config(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of an import: root, but only to read private files and to hand over."""
    host = _hardening()
    host["CapAdd"] = ["DAC_READ_SEARCH", "CHOWN", "SETUID", "SETGID"]
    return _config(spec, settings, env=spec.env, user="0:0", host=host)


def snapshot_config(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of work on a project's snapshots: the sandbox user, no capability, no network."""
    return _config(spec, settings, env=spec.env, user=USER, host=_hardening())


def runtime_config(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of the container that makes the runtime volume: no capability, no network."""
    return _config(spec, settings, env=spec.env, user="0:0", host=_hardening())


def builder_config(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of an environment's builder: a writable root, committed as an image.

    Its capabilities are those that package installers need inside their own container; it has no network
    of its own, only the egress proxy's socket.
    """
    host = _hardening()
    host["ReadonlyRootfs"] = False
    host["CapAdd"] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"]
    return _config(spec, settings, env=spec.env, user="0:0", host=host)


def proxy_config(spec: ContainerSpec, settings: SandboxSettings) -> dict[str, Any]:
    """Return the configuration of the egress proxy: the one container with a network, and nothing else."""
    host = _hardening()
    host["NetworkMode"] = "bridge"
    # Root without a single capability: only so that it may make its socket in a fresh volume.
    return _config(spec, settings, env=spec.env, user="0:0", host=host)


def _config(
    spec: ContainerSpec, settings: SandboxSettings, *, env: dict[str, str], user: str, host: dict[str, Any]
) -> dict[str, Any]:
    tmpfs = _tmpfs(settings)
    if not host["ReadonlyRootfs"]:
        # What a builder leaves in /tmp and HOME must not become part of the image either: keep them tmpfs.
        tmpfs["/tmp"] = tmpfs["/tmp"].replace(f"size={settings.tmp_mb}m", f"size={4 * settings.tmp_mb}m")
    return {
        "Image": spec.image,
        "Entrypoint": spec.argv,
        "Cmd": [],
        "User": user,
        "WorkingDir": spec.workdir,
        "Hostname": HOSTNAME,
        "Env": [f"{name}={value}" for name, value in sorted(env.items())],
        "Labels": spec.labels,
        "AttachStdout": False,
        "AttachStderr": False,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "HostConfig": {
            **host,
            **_limits(spec, settings),
            "Tmpfs": tmpfs,
            "Mounts": [mount.config() for mount in spec.mounts],
        },
    }
