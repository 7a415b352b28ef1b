"""Deltas from a worker to whoever watches: over Redis where one is configured, else by NOTIFY. Nothing is kept."""

import json
from contextlib import suppress

from hypercode.domain.delta import Delta
from hypercode.store.channels import RUN_DELTAS
from hypercode.store.database import DATABASE_AWAY, Database

# What NOTIFY carries ends at 8,000 bytes, and JSON may need 12 of them for a character.
PIECE = 600
# Nobody waits for the disk for a word that may get lost.
_NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)"


async def tell(database: Database, delta: Delta) -> None:
    """Send a delta, in pieces when it is long; it is lost where nobody listens, or where the way is away."""
    # An empty text is told too: it says that what came before is void.
    starts = range(0, max(1, len(delta.text)), PIECE)
    messages = [_message(delta, start) for start in starts]
    if database.redis is not None:
        await database.redis.publish([(RUN_DELTAS, message) for message in messages])
        return
    with suppress(*DATABASE_AWAY):
        async with database.single_statements() as connection:
            for message in messages:
                await connection.execute(_NOTIFY, (RUN_DELTAS, message))


def _message(delta: Delta, start: int) -> str:
    piece = delta.text[start : start + PIECE]
    body = delta.model_dump() | {"at": delta.at + start, "text": piece}
    # The id stands in front: a gateway that nobody watches the run at reads no further.
    return f"{delta.run_id} {json.dumps(body)}"
