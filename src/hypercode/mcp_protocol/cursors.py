"""Opaque cursors: where a cut list goes on, signed, and good for the same run, tool and arguments only."""

import base64
import binascii
import hashlib
import hmac

from pydantic import Field

from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.schemas import Arguments, arguments_sha256, canonical_json

_MAC = 16


class Paged(Arguments):
    """Base of the arguments of a tool whose list may be cut."""

    cursor: str | None = Field(
        default=None, max_length=2000, description="next_cursor of the same call before, to go on from there."
    )


class Cursors:
    """Makes and opens cursors. Every process that shares ``secret`` takes the others' cursors."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"hypercode cursor 1", hashlib.sha256)

    def sealed(self, run_id: str, args: Paged, position: str) -> str:
        """Return the cursor that stands for a position in the list that these arguments ask for."""
        data = position.encode()
        return _encoded(self._mac(run_id, args, data) + data)

    def opened(self, run_id: str, args: Paged) -> str:
        """Return the position of the arguments' cursor, "" when there is none; raises InvalidArgument."""
        if args.cursor is None:
            return ""
        try:
            sealed = base64.b64decode(args.cursor + "=" * (-len(args.cursor) % 4), b"-_", validate=True)
            mac, data = sealed[:_MAC], sealed[_MAC:]
            # One cursor has one form: base64 would take some others for it.
            if hmac.compare_digest(mac, self._mac(run_id, args, data)) and _encoded(sealed) == args.cursor:
                return data.decode()
        except (binascii.Error, ValueError):
            pass
        raise InvalidArgument(
            "the cursor is not one of this call",
            hint="A cursor goes with the arguments it was given for; leave it out to start again.",
        )

    def _mac(self, run_id: str, args: Paged, data: bytes) -> bytes:
        kind = f"{type(args).__module__}.{type(args).__qualname__}"
        bound = [run_id, kind, arguments_sha256(args.model_copy(update={"cursor": None})), data.hex()]
        return hmac.digest(self._key, canonical_json(bound), hashlib.sha256)[:_MAC]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
