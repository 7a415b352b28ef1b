"""Text that others wrote, marked as data for a model."""

import re

_END = re.compile(r"<(?=\s*/\s*data)", re.IGNORECASE)


def wrapped(name: str, text: str) -> str:
    """Text that others wrote, marked as data; it can't close its own wrapping."""
    inside = _END.sub(r"<\\", text.strip())
    return f'<data source="{name}">\n{inside}\n</data>'
