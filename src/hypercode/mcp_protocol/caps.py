"""Caps on what a tool may give back: head and tail are kept, the middle is left out and said so."""

from typing import Any, cast

DEFAULT_CAP = 32 * 1024
"""Bytes of text that a result has when nothing else is asked for; about 8,000 tokens."""

HARD_CAP = 256 * 1024
"""Bytes that no result exceeds."""


def cap_text(text: str, limit: int = DEFAULT_CAP) -> tuple[str, bool]:
    """Cut a text to ``limit`` bytes of UTF-8, two thirds head and one third tail; say whether it was cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8"), False
    marker = f"\n[... {len(data) - limit} bytes left out ...]\n"
    room = max(limit - len(marker.encode()), 0)
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    return head + marker + tail, True


def storable(value: Any) -> Any:
    """Return a JSON value without NUL characters and lone surrogates, which no database or client takes."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [storable(item) for item in cast(list[Any], value)]
    return value
