"""``hypercode sandboxd``: the only process that holds the container engine."""

import asyncio

from hypercode.cli.environment import process_settings
from hypercode.sandbox.daemon import serve


def sandboxd() -> None:
    """Run the sandbox process, on a unix socket."""
    asyncio.run(serve(process_settings("sandboxd")))
