"""Makes the platform's own Python runtime in /out from the interpreter that runs this (base image's).

Its loader, its shared libraries and its standard library, so that it starts in any image. Run once per
base image, in a builder container.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig

OUT = "/out"
LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
    "dist-packages", "__pycache__", "pydoc_data", "config",
}  # fmt: skip


def _libraries(path: str) -> dict[str, str]:
    """Return {name: path} of the shared libraries that a file is linked against."""
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        match = re.search(r"(?:=>\s*)?(/\S+)\s+\(0x", line)
        if match:
            found[os.path.basename(match.group(1))] = match.group(1)
    return found


def _ignore(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in LEFT_OUT or name.startswith("config-")]


def main() -> None:
    """Copy everything, then compile it, since the volume is mounted read-only."""
    interpreter = os.path.realpath(sys.executable)
    stdlib = sysconfig.get_path("stdlib")
    version = "python%d.%d" % sys.version_info[:2]
    target = os.path.join(OUT, "lib", version)
    os.makedirs(os.path.join(OUT, "bin"), exist_ok=True)
    shutil.copytree(
        stdlib, target, symlinks=False, ignore=_ignore, ignore_dangling_symlinks=True, dirs_exist_ok=True
    )
    shutil.copy(interpreter, os.path.join(OUT, "bin", "python3"))
    libraries = _libraries(interpreter)
    dynload = os.path.join(target, "lib-dynload")
    for name in os.listdir(dynload):
        libraries.update(_libraries(os.path.join(dynload, name)))
    for name, path in libraries.items():
        shutil.copy(os.path.realpath(path), os.path.join(OUT, "lib", name))
    loader = next(name for name in libraries if name.startswith(("ld-", "ld64")))
    link = os.path.join(OUT, "lib", "loader")
    if not os.path.lexists(link):
        os.symlink(loader, link)
    compileall.compile_dir(target, quiet=2, workers=1)


if __name__ == "__main__":
    main()
