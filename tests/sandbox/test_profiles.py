"""The hardening is a pure function: these hold for every profile without an engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hypercode.sandbox import profiles
from hypercode.sandbox.base import Profile
from hypercode.sandbox.profiles import ContainerSpec, Mount
from hypercode.settings import SandboxSettings

SPEC = ContainerSpec(
    image="sha256:x", argv=["run"], mounts=[Mount("volume", "/workspace")], labels={}, env={"A": "1"}
)
SETTINGS = SandboxSettings(memory_mb=100, cpus=0.5, pids=64)
Make = Callable[[ContainerSpec, SandboxSettings], dict[str, Any]]

MAKERS: dict[str, Make] = {
    "agent": lambda spec, settings: profiles.sandbox_config(Profile.AGENT, spec, settings),
    "check": lambda spec, settings: profiles.sandbox_config(Profile.CHECK, spec, settings),
    "helper": lambda spec, settings: profiles.sandbox_config(Profile.HELPER, spec, settings),
    "import": profiles.import_config,
    "runtime": profiles.runtime_config,
    "builder": profiles.builder_config,
    "proxy": profiles.proxy_config,
    "deployed": lambda spec, settings: profiles.deployed_config(spec, ["/data"], settings),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_container_is_bounded_and_without_privileges(name: str) -> None:
    host = MAKERS[name](SPEC, SETTINGS)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert host["Privileged"] is False
    assert host["Memory"] == host["MemorySwap"] == 100 * 1024 * 1024
    assert host["PidsLimit"] == 64
    assert host["NanoCpus"] == 500_000_000
    assert host["Init"] is True
    assert "docker.sock" not in json.dumps(host)
    assert not {"Devices", "Binds", "PidMode", "UTSMode", "CgroupParent"} & host.keys()


def test_only_the_proxy_has_a_network_and_only_builders_a_writable_root() -> None:
    networks = {name: make(SPEC, SETTINGS)["HostConfig"]["NetworkMode"] for name, make in MAKERS.items()}
    assert {name for name, mode in networks.items() if mode != "none"} == {"proxy"}
    writable = {
        name for name, make in MAKERS.items() if not make(SPEC, SETTINGS)["HostConfig"]["ReadonlyRootfs"]
    }
    assert writable == {"builder"}


def test_agent_and_check_can_not_be_told_apart() -> None:
    agent, check = (MAKERS[name](SPEC, SETTINGS) for name in ("agent", "check"))
    assert agent == check
    assert agent["User"] == "10001:10001"
    assert not any("HYPERCODE" in variable for variable in agent["Env"])


def test_variables_of_ours_never_enter() -> None:
    env = profiles.sandbox_env({"HYPERCODE_DATABASE_URL": "secret", "KEPT": "1"})
    assert "HYPERCODE_DATABASE_URL" not in env
    assert env["KEPT"] == "1"


def test_seccomp_denies_what_the_default_profile_leaves_open() -> None:
    rules = json.loads(profiles.seccomp_profile())["syscalls"]
    denied = {name for rule in rules if not rule.get("args") for name in rule["names"]}
    assert {"ptrace", "io_uring_setup", "bpf", "unshare", "mount", "keyctl", "process_vm_writev"} <= denied
    families = {rule["args"][0]["value"] for rule in rules if rule["names"] == ["socket"]}
    assert 40 in families  # AF_VSOCK
