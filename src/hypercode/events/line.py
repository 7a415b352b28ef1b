"""An event on its way to watchers: its JSON is made once, however many there are."""

from datetime import UTC, datetime

from hypercode.domain.event import Event
from hypercode.store.database import Statements

_READ = """
    SELECT seq, type, at, payload::text FROM run_events
    WHERE run_id = %s AND seq > %s ORDER BY seq LIMIT %s"""


class Line:
    """One event as it is sent; ``event`` parses it for whoever looks inside."""

    __slots__ = ("at", "json", "seq", "type")

    def __init__(self, run_id: str, seq: int, type_: str, at: datetime, payload: str) -> None:
        self.seq = seq
        self.type = type_
        self.at = at.astimezone(UTC)
        moment = self.at.isoformat().replace("+00:00", "Z")
        # Ids and types are ours, and plain ASCII; the payload is Postgres's own JSON.
        self.json = (
            f'{{"run_id":"{run_id}","seq":{seq},"type":"{type_}","payload":{payload},"at":"{moment}"}}'
        )

    @property
    def event(self) -> Event:
        return Event.model_validate_json(self.json)


async def read_lines(connection: Statements, run_id: str, after: int, limit: int) -> list[Line]:
    """Return what is in the log after a seq, in order."""
    cursor = await connection.execute(_READ, (run_id, after, limit))
    return [Line(run_id, *row) for row in await cursor.fetchall()]


async def heads(connection: Statements, run_ids: list[str]) -> dict[str, int]:
    """Return the last seq of each run that has events."""
    cursor = await connection.execute("SELECT run_id, seq FROM run_heads WHERE run_id = ANY(%s)", (run_ids,))
    return dict(await cursor.fetchall())
