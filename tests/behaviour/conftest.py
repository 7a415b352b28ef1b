"""One live platform for all behaviour tests, and copies of the examples that tests may look at."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.behaviour.browser import chromium, pictures_folder, window
from tests.behaviour.platform import Platform, running

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Account:
    """The platform's one admin, as made in the browser, and a sign-in to go on from."""

    url: str
    email: str
    password: str
    state: Any
    pictures: Path


@contextmanager
def fresh_platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        with running(Platform(Path(directory) / "d"), ["--root", "/tmp", "--root", str(EXAMPLES)]) as live:
            yield live


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with fresh_platform() as live:
        yield live


@pytest.fixture(scope="session")
def web_platform() -> Iterator[Platform]:
    """One of its own for the browser: a person's first visit finds no projects of other tests."""
    with fresh_platform() as live:
        yield live


@pytest.fixture(scope="session")
def admin(web_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """A person opens the first-run link and makes the admin account; only once a platform."""
    if not (ROOT / "src/hypercode/gateway/_static/index.html").is_file():
        subprocess.run([ROOT / "scripts/web", "build"], check=True)
    pictures = pictures_folder(tmp_path_factory.mktemp("pictures"))
    email, password = "ada@example.org", "four words of one person"
    url = web_platform.setup_url.partition("/login")[0]
    with chromium() as browser, window(browser, url, pictures) as visit:
        page = visit.goto(web_platform.setup_url)
        page.get_by_label("Name").fill("Ada Byron")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill("too short")
        visit.picture("01-first-run")
        assert "token" not in page.url, "a one-time secret stays in the address bar"
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Make the admin account").click()
        page.wait_for_url(f"{url}/")
        page.get_by_text("First, connect a project").wait_for()
        visit.picture("02-empty")
        return Account(url, email, password, visit.context.storage_state(), pictures)


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
