"""Keeps what an install wrote into the work tree: the builder's copy of that is thrown away.

Modules (a version file, compiled extensions) go to /opt/venv/written, and a finder that comes after all
others looks there for modules of packages below /workspace.
"""

from __future__ import annotations

import os
import shutil
import sysconfig

ROOT = "/workspace"
KEPT = "/opt/venv/written"
BEGAN = "/tmp/hypercode-began"
LEFT_OUT = {".git", "build", "dist", "__pycache__", ".eggs", ".tox", "node_modules"}
FINDER = '''"""Finds modules that the install wrote beside the project's own, after all other places."""

import sys
from importlib.machinery import PathFinder

ROOT, KEPT = "/workspace", "/opt/venv/written"


class Written:
    @staticmethod
    def find_spec(name, path=None, target=None):
        places = [KEPT, KEPT + "/src"] if path is None else [KEPT + place[len(ROOT):]
                  for place in map(str, path) if (place + "/").startswith(ROOT + "/")]
        found = PathFinder.find_spec(name, places, target) if places else None
        return found if found is not None and found.loader is not None else None


sys.meta_path.append(Written)
'''


def written(root: str, began: float) -> list[str]:
    """Return the modules below root that are newer, relative to it."""
    found: list[str] = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in LEFT_OUT and not name.endswith(".egg-info")]
        for file in files:
            path = os.path.join(folder, file)
            if file.endswith((".py", ".so")) and os.lstat(path).st_mtime > began and not os.path.islink(path):
                found.append(os.path.relpath(path, root))
    return sorted(found)


def main() -> None:
    """Copy them, and put the finder beside the packages."""
    paths = written(ROOT, os.stat(BEGAN).st_mtime)
    for path in paths:
        os.makedirs(os.path.dirname(os.path.join(KEPT, path)), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, path), os.path.join(KEPT, path))
    if paths:
        site = sysconfig.get_path("purelib")
        with open(os.path.join(site, "_hypercode_written.py"), "w", encoding="utf-8") as stream:
            stream.write(FINDER)
        with open(os.path.join(site, "hypercode_written.pth"), "w", encoding="utf-8") as stream:
            stream.write("import _hypercode_written\n")


if __name__ == "__main__":
    main()
