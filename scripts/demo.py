"""``make demo``: the main job on the examples, as a person would do it, with what to do next."""

import subprocess
import sys
from pathlib import Path

HYPERCODE = Path(sys.executable).with_name("hypercode")
EXAMPLE = Path("examples/inventory")


def main() -> int:
    print(f"A test of {EXAMPLE} fails. HyperCode fixes it with builtin/repair: no API key, no network.\n")
    done = subprocess.run(
        [HYPERCODE, "run", "--repo", EXAMPLE, "--model", "builtin/repair", "Make the failing test pass."],
        check=False,
    )
    print(
        "\nYour copy of the example was not changed: the result is the diff above."
        "\nOpen it in the browser with `make up`; try your own repository with"
        "\n  .venv/bin/hypercode run --repo PATH --model builtin/repair 'make the tests pass'"
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
