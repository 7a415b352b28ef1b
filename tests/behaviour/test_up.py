"""``hypercode up``: ready, refused, stopped."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.behaviour.platform import Platform, free_port, running

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
CHILDREN = ("sandboxd", "tools", "verifier", "worker", "gateway")


@pytest.fixture
def place() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="hc-one-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        yield Platform(Path(directory) / "d")


@pytest.mark.requirement("up:ready")
@pytest.mark.requirement("up:twice")
@pytest.mark.requirement("up:stops-all")
def test_it_is_ready_alone_and_stops_all_it_started(place: Platform) -> None:
    with running(place):
        assert httpx2.get(f"{place.url}/readyz").json()["ready"] is True
        assert all(len(place.child_pids(name)) == 1 for name in CHILDREN)
        second = place.command("up", "--port", str(free_port()))
        assert second.returncode == 2
        assert "already using" in second.stdout + second.stderr
        assert httpx2.get(f"{place.url}/healthz").status_code == 200
    assert place.process is not None
    assert place.process.returncode == 0
    assert [place.child_pids(name) for name in CHILDREN] == [[]] * 5
    assert not (place.data_dir / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.requirement("up:port-taken")
def test_a_taken_port_is_said(place: Platform) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = place.command("up", "--port", str(other.getsockname()[1]))
    assert refused.returncode == 2
    assert "can't be used" in refused.stdout + refused.stderr
    assert "--port" in refused.stdout + refused.stderr
