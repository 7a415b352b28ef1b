"""Collects the tests once, and takes a newer version of an installed package that breaks that by itself.

Pins of a few years ago often name packages that don't work with this Python: an error whose last frame lies in
an installed package, not in the project, is one of those. The project's own errors are left as they are.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

ROUNDS = 3
TIMEOUT_S = 120
COLLECT = [sys.executable, "-B", "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
PIP = [sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar", "off", "--upgrade"]
FRAME = re.compile(r"^(\S+\.py):\d+: in ", re.MULTILINE)
INSTALLED = re.compile(r"/site-packages/(\w+)[/.]")
LEFT_ALONE = {"_pytest", "pytest", "pluggy"}


def culprits(output: str) -> list[str]:
    """Return the top-level modules of installed packages that pytest's errors end in."""
    found: set[str] = set()
    for part in re.split(r"(?m)^_+ ERROR collecting .*$", output)[1:]:
        frames = FRAME.findall(part)
        where = INSTALLED.search(frames[-1]) if frames else None
        if where is not None and where.group(1) not in LEFT_ALONE:
            found.add(where.group(1))
    return sorted(found)


def main() -> int:
    """Collect, upgrade, collect again; 0 whatever the tests are like."""
    tried: set[str] = set()
    for _ in range(ROUNDS):
        try:
            done = subprocess.run(
                COLLECT, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return 0
        owners = packages_distributions()
        names = {owners[module][0] for module in culprits(done.stdout) if module in owners} - tried
        if not names:
            return 0
        tried |= names
        sys.stdout.write(
            f"Collecting the tests fails inside {', '.join(sorted(names))}: taking a newer version\n"
        )
        sys.stdout.flush()
        subprocess.run([*PIP, *sorted(names)], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
