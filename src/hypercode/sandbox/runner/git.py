"""Running git on untrusted trees: one fixed environment, no hooks, no filters, no configuration of theirs."""

from __future__ import annotations

import os
import subprocess

from refusals import Refused

HERE = os.path.dirname(os.path.abspath(__file__))
# Caches that tools leave in a work tree; a project that tracks them still has them compared.
EXCLUDED = (
    "__pycache__/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".coverage",
    "*.egg-info/",
    "*.py[co]",
    ".hypercode-*",
)
FOLDER_EXCLUDED = (*EXCLUDED, ".venv/", "venv/", "node_modules/", ".tox/", ".nox/")
DATE = "2020-01-01T00:00:00Z"


def environment(**more: str) -> dict[str, str]:
    """Return the variables that every git gets."""
    base = {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.path.join(HERE, "gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_AUTHOR_DATE": DATE,
        "GIT_COMMITTER_DATE": DATE,
        "GIT_NO_LAZY_FETCH": "1",
    }
    base.update(more)
    return base


def run(
    *args: str, env: dict[str, str], data: bytes | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run git; return its CompletedProcess. With ``check`` a failure raises Refused with git's own words."""
    done = subprocess.run(
        ["git", *args], env=env, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
    )
    if check and done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()[-800:]
        if "No space left" in words:
            raise Refused(
                "TOO_LARGE", "no space left on the engine's disk", "free some space, then try again"
            )
        raise Refused("INVALID_ARGUMENT", "git %s failed: %s" % (args[0], words))
    return done


def text(*args: str, env: dict[str, str], data: bytes | None = None) -> str:
    """Run git and return its output as text without the last line break."""
    return run(*args, env=env, data=data).stdout.decode("utf-8", "replace").rstrip("\n")
