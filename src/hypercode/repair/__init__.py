"""The offline repair engine: search for a small edit that makes a failing test pass.

It runs inside the sandbox, in the project's own interpreter (Python 3.9 or newer), is
started by path (`python .../repair/engine.py`) and imported by nothing else.
"""
