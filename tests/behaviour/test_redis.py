"""A run on a platform whose Redis dies in the middle of it."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.behaviour.platform import Platform, running, wait_for
from tests.fixtures.redis_server import RedisServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

SLOW = {
    "turns": [
        {
            "say": "Write.",
            "calls": [{"tool": "fs_write", "arguments": {"path": "kept.txt", "content": "x\n"}}],
        },
        {
            "say": "Wait.",
            "calls": [{"tool": "sh_exec", "arguments": {"argv": ["sleep", "600"], "timeout_s": 700}}],
        },
    ]
}


@pytest.fixture
def place(redis_server: RedisServer) -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="hc-re-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        platform = Platform(Path(directory) / "d", environment={"HYPERCODE_REDIS_URL": redis_server.url})
        with running(platform, ["--root", "/tmp"]):
            yield platform


def redis_of(platform: Platform) -> str:
    readiness = httpx2.get(f"{platform.url}/readyz")
    assert readiness.status_code == 200
    return {each["name"]: each["status"] for each in readiness.json()["dependencies"]}["redis"]


def logged(platform: Platform, process: str) -> list[str]:
    lines = (platform.data_dir / "logs" / f"{process}.log").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    return [event for event in events if event.startswith("redis.")]


@pytest.mark.promise(11)
@pytest.mark.requirement("redis:vanishes")
def test_a_run_goes_on_and_can_be_cancelled_while_redis_is_gone_and_back(
    place: Platform, redis_server: RedisServer, project: Callable[..., Path], tmp_path: Path
) -> None:
    script = tmp_path / "slow.yaml"
    script.write_text(json.dumps(SLOW))
    with place.start_run(project("inventory"), "Write, then wait.", model=f"scripted:{script}") as run:
        assert run.stdout is not None
        seen = [json.loads(next(run.stdout))]
        while not (seen[-1]["type"] == "tool_call.requested" and "sh_exec" in str(seen[-1])):
            seen.append(json.loads(next(run.stdout)))
        redis_server.kill()
        wait_for(lambda: redis_of(place) == "degraded", "the outage")
        run.send_signal(signal.SIGINT)
        seen.extend(json.loads(line) for line in run.stdout)
    assert run.returncode == 130
    assert seen[-1]["payload"]["status"] == "cancelled"
    assert "kept.txt" in seen[-1]["payload"]["diff"]
    assert [line["seq"] for line in seen] == list(range(1, len(seen) + 1))

    redis_server.start()
    for process in ("gateway", "worker"):
        wait_for(lambda name=process: logged(place, name)[-1:] == ["redis.back"], f"the {process}'s Redis")
        assert logged(place, process) == ["redis.away", "redis.back"]
    assert redis_of(place) == "up"
