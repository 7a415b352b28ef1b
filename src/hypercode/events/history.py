"""The events of a run by cursor, whether they are rows or an archive."""

from collections import OrderedDict

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.event import Event
from hypercode.events import log
from hypercode.store.archives import get_archive, unpacked
from hypercode.store.objects import ObjectStore
from hypercode.store.tables import ArchiveRow

KEPT = 4
"""Archives that a process keeps unpacked: whoever reads one reads it page by page."""


class History:
    """Reads like ``log.read``; a run that is not archived costs nothing more until a page has no event that follows."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._unpacked: OrderedDict[str, list[Event]] = OrderedDict()

    async def read(
        self, session: AsyncSession, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[Event]:
        """Return events with seq greater than ``after``, in order."""
        page = await log.read(session, run_id, after=after, limit=limit)
        if page and page[0].seq == after + 1:
            return page
        archived = await self.archived(session, run_id, after)
        if not archived:
            # Perhaps it was restored between the two looks: the rows are there now.
            return await log.read(session, run_id, after=after, limit=limit)
        return [*archived, *(event for event in page if event.seq > archived[-1].seq)][:limit]

    async def archived(self, session: AsyncSession, run_id: str, after: int) -> list[Event]:
        """Return the events after ``after`` that are in the run's archive; none when it has none."""
        archive = await get_archive(session, run_id)
        if archive is None or after >= archive.last_seq:
            return []
        return [event for event in await self._events(archive) if event.seq > after]

    async def _events(self, archive: ArchiveRow) -> list[Event]:
        if (known := self._unpacked.get(archive.sha256)) is not None:
            self._unpacked.move_to_end(archive.sha256)
            return known
        rows = unpacked(await self._objects.get(archive.sha256)).rows.get("run_events", [])
        events = sorted((Event.model_validate(row) for row in rows), key=lambda event: event.seq)
        self._unpacked[archive.sha256] = events
        while len(self._unpacked) > KEPT:
            self._unpacked.popitem(last=False)
        return events
