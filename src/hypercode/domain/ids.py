"""Identifiers: a noun's prefix and 128 random bits, so that ids can't be guessed and say what they name."""

import secrets
from typing import Annotated

from pydantic import StringConstraints

PREFIXES = {
    "organisation": "org",
    "user": "usr",
    "project": "prj",
    "task": "tsk",
    "run": "run",
    "workspace": "wsp",
    "sandbox": "sbx",
    "artifact": "art",
    "plan": "pln",
    "memory": "mem",
    "tool_call": "call",
    "approval": "apr",
    "question": "qst",
    "request": "req",
    "api_token": "tok",
    "container": "ctr",
    "image": "img",
    "deployment": "dep",
    "command": "cmd",
}

Id = Annotated[str, StringConstraints(pattern=r"^[a-z]{3,4}_[0-9a-f]{32}$")]


def new_id(noun: str) -> str:
    """Return a fresh id for a noun of PREFIXES, such as ``run_3f…``; raises KeyError for another noun."""
    return f"{PREFIXES[noun]}_{secrets.token_hex(16)}"
