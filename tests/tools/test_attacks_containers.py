"""Rows D1 to D4 of the attack table: containers that an agent starts."""

from pathlib import Path
from typing import Any

import pytest

from hypercode.agents.mcp_client import ToolSession

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


@pytest.mark.parametrize(
    "field",
    [
        {"privileged": True},
        {"network": "host"},
        {"network_mode": "host"},
        {"pid": "host"},
        {"ipc": "host"},
        {"uts": "host"},
        {"userns": "host"},
        {"cap_add": ["SYS_ADMIN"]},
        {"devices": ["/dev/sda"]},
        {"mounts": [{"source": "/", "target": "/host"}]},
        {"volumes": ["/:/host"]},
        {"binds": ["/var/run/docker.sock:/var/run/docker.sock"]},
        {"volumes_from": ["hypercode-agent-0"]},
        {"security_opt": ["seccomp=unconfined"]},
        {"user": "root"},
        {"labels": {"dev.hypercode.owner": "x"}},
        {"publish": ["0.0.0.0:22:22"]},
        {"ports": ["0.0.0.0:22:22"]},
        {"ports": [0]},
        {"ports": [70_000]},
        {"ports": [True]},
        {"runtime": "runc"},
        {"cgroup_parent": "/"},
        {"sysctls": {"kernel.core_pattern": "|/x"}},
        {"restart": "always"},
        {"tmpfs": {"/x": "exec"}},
        {"image": "--privileged"},
        {"image": "a b"},
        {"image": ""},
        {"memory_mb": 10**9},
        {"cpus": 0},
        {"env": {"HYPERCODE_X": "1"}},
        {"env": {"LD_PRELOAD": "/x.so"}},
    ],
    ids=str,
)
async def test_d1_privileges_are_not_in_the_schema(hands: Any, field: dict[str, Any]) -> None:
    asked = {"image": "environment", "command": ["true"], **field}
    outcome = await hands.call("container_run", **asked)
    assert (outcome.ok, outcome.code) == (False, "INVALID_ARGUMENT"), outcome.text


@pytest.mark.parametrize(
    "field",
    [
        {"network": "host"},
        {"secrets": ["x"]},
        {"ssh": "default"},
        {"entitlements": ["security.insecure"]},
        {"platform": "linux/arm64"},
        {"cache_from": ["x"]},
        {"target": "a b"},
        {"build_args": {"a b": "x"}},
        {"dockerfile": 1},
    ],
    ids=str,
)
async def test_d1_builds_have_no_entitlements(hands: Any, field: dict[str, Any]) -> None:
    outcome = await hands.call("container_build", **field)
    assert (outcome.ok, outcome.code) == (False, "INVALID_ARGUMENT"), outcome.text


@pytest.mark.parametrize("path", ["../Dockerfile", "/etc/passwd", "a/../../x"])
async def test_d1_a_build_stays_in_the_workspace(hands: Any, path: str) -> None:
    for field in ("context", "dockerfile"):
        outcome = await hands.call("container_build", **{field: path})
        assert (outcome.ok, outcome.code) == (False, "PATH_OUTSIDE"), outcome.text
    await hands.shell("ln -sfn /etc/passwd linked")
    assert (await hands.call("container_build", dockerfile="linked")).code == "PATH_OUTSIDE"


async def build(hands: Any, name: str, text: str) -> Any:
    assert (await hands.call("fs_write", path=f"{name}/Dockerfile", content=text, create_dirs=True)).ok
    return await hands.call("container_build", context=name)


async def test_d2_what_an_image_says_of_itself_hardens_nothing_less(hands: Any) -> None:
    """CVE-2026-55887 of another gateway: an image's labels became volumes, users and commands."""
    built = await build(
        hands,
        "d2",
        """FROM environment
LABEL dev.hypercode.owner=somebody dev.hypercode.kind=helper io.docker.server.metadata="{volumes: [/:/host], user: root}"
USER root
VOLUME /data
HEALTHCHECK CMD touch /tmp/healthy
RUN id -u; grep -E 'Cap(Eff|Bnd)' /proc/self/status; ls /sys/class/net; ls /var/run/docker.sock; mount -t tmpfs x /mnt; true
ENTRYPOINT ["sleep", "inf"]
""",
    )
    assert built.data["ok"], built.text
    assert len(built.data["notes"]) == 4
    log = built.data["log"]
    # chown, dac_override, fowner, fsetid, setgid, setuid: what package installers need, nothing of the kernel's.
    assert log.count("00000000000000db") == 2, log
    assert "eth0" not in log
    assert "docker.sock': No such file" in log
    assert "mount:" in log
    assert "Permission denied" in log or "permission denied" in log

    ran = await hands.call("container_run", image=built.data["image_id"])
    ref = {"container_id": ran.data["container_id"]}
    script = (
        "id -u; id -g; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; ls /sys/class/net; touch /x /app /usr/x;"
        " ls -d /data /host /var/run/docker.sock; ls -l /workspace /gitdir; unshare -r true; cat /sys/fs/cgroup/pids.max"
        " /sys/fs/cgroup/pids/pids.max 2>/dev/null; ls -d /tmp/healthy"
    )
    seen = await hands.call("container_exec", **ref, argv=["sh", "-c", script])
    out, err = seen.data["stdout"], seen.data["stderr"]
    assert out.split()[:2] == ["10001", "10001"]
    assert all(line.split()[1] == "0" * 16 for line in out.splitlines() if line.startswith("Cap"))
    assert "NoNewPrivs:\t1" in out
    assert "Seccomp:\t2" in out
    assert "\nlo\n" in out
    assert "eth0" not in out
    assert "512" in out.split()
    assert err.count("Read-only file system") == 3
    # The environment's image has empty folders where a sandbox has mounts.
    assert "total 0" in out
    for place in ("/data", "/host", "/var/run/docker.sock", "/tmp/healthy"):
        assert f"'{place}': No such file" in err
    assert "unshare" in err
    assert (await hands.call("container_rm", **ref)).ok


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FROM debian:12\nRUN id\n", "POLICY_DENIED"),
        ("FROM hypercode-env:x\nRUN id\n", "POLICY_DENIED"),
        ("FROM python:3.13-slim@sha256:00\nRUN id\n", "POLICY_DENIED"),
        ("ARG B=evil\nFROM $B\nRUN id\n", "POLICY_DENIED"),
        ("FROM img_00000000000000000000000000000000\nRUN id\n", "NOT_FOUND"),
        ("# syntax=docker/dockerfile:1\nFROM environment\n", "INVALID_ARGUMENT"),
        ("FROM environment\nRUN --mount=type=bind,source=/,target=/host id\n", "INVALID_ARGUMENT"),
        ("FROM environment\nADD https://example.org/ /x\n", "INVALID_ARGUMENT"),
        ("FROM environment\nCOPY --from=debian:12 /etc /x\n", "INVALID_ARGUMENT"),
    ],
)
async def test_d2_builds_that_reach_out_are_refused(hands: Any, text: str, code: str) -> None:
    outcome = await build(hands, "d2b", text)
    assert (outcome.ok, outcome.code) == (False, code), outcome.text


@pytest.mark.parametrize(
    "image", ["debian:12", "hypercode-base:latest", "hypercode/sandboxd:0.1.0", "sha256:" + "0" * 64]
)
async def test_d2_images_outside_the_list_are_refused(hands: Any, image: str) -> None:
    outcome = await hands.call("container_run", image=image, command=["true"])
    assert (outcome.ok, outcome.code) == (False, "POLICY_DENIED"), outcome.text


async def test_d3_containers_and_images_of_others_are_not_there(
    hands: Any, minting: Any, new_run: Any, tmp_path: Path
) -> None:
    built = await build(hands, "d3", "FROM environment\nRUN true\n")
    image = built.data["image_id"]
    ran = await hands.call("container_run", image="environment", command=["sleep", "inf"])
    mine = ran.data["container_id"]
    run = await new_run()
    strange = [mine, "ctr_" + "0" * 32]
    async with ToolSession(hands.socket, minting.token(run)) as other:
        for number, container_id in enumerate(strange):
            for tool, more in {
                "container_logs": {},
                "container_inspect": {},
                "container_stop": {},
                "container_rm": {},
                "container_exec": {"argv": ["id"]},
            }.items():
                asked = {"container_id": container_id, **more}
                outcome = await other.call(tool, asked, key=f"{tool}-{number}")
                assert (outcome.ok, outcome.code) == (False, "NOT_FOUND"), outcome.text
        listed = await other.call("container_list", {}, key="list")
        assert listed.data["containers"] == []
        outcome = await other.call("container_run", {"image": image, "command": ["true"]}, key="run")
        assert outcome.code == "NOT_FOUND"
    # The platform's own containers have no id that the schema lets through.
    for name in ("hypercode-agent-" + "0" * 24, "../json", mine.removeprefix("ctr_"), mine + "/json"):
        outcome = await hands.call("container_inspect", container_id=name)
        assert outcome.code == "INVALID_ARGUMENT"
    assert (await hands.call("container_inspect", container_id=mine)).data["status"] == "running"
    assert (await hands.call("container_rm", container_id=mine)).ok


async def test_to_deploy_asks_a_person(hands: Any) -> None:
    outcome = await hands.call("deploy", image="environment", port=8000)
    assert (outcome.ok, outcome.code) == (False, "PENDING_APPROVAL"), outcome.text
