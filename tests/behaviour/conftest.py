"""One live platform for all behaviour tests, and copies of the examples that tests may look at."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform, running

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        with running(Platform(Path(directory) / "d"), ["--root", "/tmp", "--root", str(EXAMPLES)]) as live:
            yield live


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Copy an example into a Git repository of its own."""

    def copy(name: str, *, git: bool = True) -> Path:
        target = tmp_path / name
        shutil.copytree(
            EXAMPLES / name, target, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
        )
        if git:
            for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
                subprocess.run(
                    ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
                    cwd=target, check=True, capture_output=True,
                )  # fmt: skip
        return target

    return copy
