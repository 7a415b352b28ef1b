"""The runner's entry: ``runner.py`` serves, ``runner.py --relay`` joins stdin and stdout to the one that serves.

``runner.py --beside`` serves in a container whose main process is another program; its paths begin at the root.

Standard library only; it runs on the platform's own read-only runtime, not on the project's interpreter.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

if __name__ == "__main__":
    # Each of the two is imported alone: a relay that starts has no use for the server's modules.
    if "--relay" in sys.argv[1:]:
        import relay

        relay.relay()
    else:
        import server

        server.serve("/" if "--beside" in sys.argv[1:] else server.WORKSPACE)
