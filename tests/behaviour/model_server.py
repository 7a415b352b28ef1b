"""A live server that speaks providers' wire formats and answers by a script, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from tests.behaviour.platform import free_port, wait_for


@contextmanager
def model_server(script: Path) -> Iterator[str]:
    """Serve the script; yields the server's URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fixtures.model_server", "--script", str(script), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx2.get(f"{url}/requests").status_code == 200
        except httpx2.TransportError:
            return False

    try:
        wait_for(answers, "the model server")
        yield url
    finally:
        process.kill()
        process.wait()
