"""``hypercode verifier``: the holder of the signing key."""

import asyncio

from hypercode.cli.environment import process_settings
from hypercode.verification.app import serve


def verifier() -> None:
    """Run the verifier process, on a unix socket."""
    asyncio.run(serve(process_settings("verifier")))
