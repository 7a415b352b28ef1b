"""Where a failing test's error was raised, and whether that is the test's own file."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

Frame = Tuple[str, int]
MAX_WORDS = 300
# A comparison that fails is raised in the test too, but what it compares is the product's.
_COMPARED = ("AssertionError", "assert ", "Failed")
# Some test libraries hand over a traceback only as text.
_WRITTEN = re.compile(r'^\s*File "([^"\n]+)", line (\d+)', re.MULTILINE)


def frames_of(kept: List[Frame], message: str) -> List[Frame]:
    """The frames of an error: those that its message spells out, if it does, else those kept with it."""
    written = [(path, int(line)) for path, line in _WRITTEN.findall(message)]
    return written or kept


def last_words(kind: str, message: str) -> str:
    """The error in one line, with its type."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return kind
    words = lines[-1] if _WRITTEN.search(message) else lines[0]
    known = words.startswith(_COMPARED) or re.match(r"[\w.]+(Error|Exception|Warning)\b", words)
    return (words if known else f"{kind}: {words}")[:MAX_WORDS]


def raised_in_test(detail: Optional[Dict[str, Any]], test_file: str) -> str:
    """What a test's own file raised, with its place; empty when the error came from elsewhere.

    `detail` has `raised` (path relative to the root, line) and `words` from the plugin.
    """
    if detail is None or not detail.get("raised"):
        return ""
    path, line = detail["raised"]
    words = str(detail.get("words", ""))
    if path != test_file or words.startswith(_COMPARED):
        return ""
    return f"{path}:{line}: {words}"
