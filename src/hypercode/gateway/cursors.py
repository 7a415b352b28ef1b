"""Cursors of lists: opaque to clients, a moment and an id to us."""

import base64
import binascii
from datetime import datetime

from hypercode.domain.errors import InvalidArgument


def cursor_of(at: datetime, id_: str) -> str:
    """The cursor that continues after this row."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {id_}".encode()).decode()


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Where to go on; raises InvalidArgument for what is not one of ours."""
    if not cursor:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        moment, id_ = None, ""
    if moment is None or moment.tzinfo is None or not id_.isprintable():
        raise InvalidArgument("The cursor is not one of ours.", hint="Start again without a cursor.")
    return moment, id_
