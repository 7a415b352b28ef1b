"""Entry point, started by path inside the sandbox: `python .../repair/engine.py --root DIR`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

PACKAGE = "hypercode_repair"


def load(module: str) -> Any:
    """Import a sibling module as part of the package `hypercode_repair`.

    The siblings have short names (`rank`, `search`) that a project under repair may use for
    its own modules. Under a package name of their own they cannot be taken for each other.
    """
    if PACKAGE not in sys.modules:
        here = Path(__file__).resolve().parent
        spec = importlib.util.spec_from_file_location(
            PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{here} holds no engine")
        package = importlib.util.module_from_spec(spec)
        sys.modules[PACKAGE] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{PACKAGE}.{module}")


def main(argv: list[str]) -> int:
    """Run the search, or with `serve` first, the process that runs the tests. Gives the exit code.

    `python FILE` puts the file's directory first in `sys.path`; it is taken out so that no
    import of the project can find the engine's modules.
    """
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.dont_write_bytecode = True
    if argv[:1] == ["serve"]:
        return int(load("server").serve(argv[1:]))
    return int(load("command").run(argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
