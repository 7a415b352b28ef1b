"""Memories in the database. Every read names the project that it reads for, and sees no other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hypercode.domain.errors import Conflict, NotFound, TooLarge
from hypercode.domain.ids import new_id
from hypercode.domain.memory import Author, Draft, Memory, MemoryKind, Trust
from hypercode.store.tables import MemoryRow

MAX_OF_RUN = 500
LANGUAGE = "english"
TRUSTED = (Trust.UNTRUSTED, Trust.AGENT, Trust.PERSON)
"""From least to most: nobody hides the words of somebody who is trusted more."""


@dataclass(frozen=True)
class Reader:
    """For whom memories are read: one project of one organisation."""

    organisation_id: str
    project_id: str


@dataclass(frozen=True)
class Search:
    """What is looked for; empty means everything. ``before`` is the last memory of the page before."""

    query: str = ""
    kinds: Sequence[str] = ()
    tags: Sequence[str] = ()
    since: datetime | None = None
    task_id: str | None = None
    superseded: bool = False
    not_of_run: str | None = None
    statuses: Sequence[str] = ()
    before: tuple[datetime, str] | None = None
    limit: int = 20


async def add_memory(session: AsyncSession, author: Author, draft: Draft) -> Memory:
    """Keep a memory; the same call of the same run keeps it once. Raises NotFound, Conflict or TooLarge."""
    reader = Reader(author.organisation_id, author.project_id)
    kept = await session.scalar(
        select(MemoryRow.id).where(
            MemoryRow.run_id == author.run_id,
            MemoryRow.author == author.author,
            MemoryRow.source_call == author.source_call,
        )
    )
    if kept is not None:
        return await get_memory(session, reader, kept)
    of_run = select(func.count()).where(MemoryRow.run_id == author.run_id, MemoryRow.author == author.author)
    if (await session.scalar(of_run) or 0) >= MAX_OF_RUN:
        raise TooLarge(f"this run has left {MAX_OF_RUN} memories, the most that are kept of one run")
    row = insert(MemoryRow).values(
        id=new_id("memory"),
        **author.model_dump(mode="json"),
        **draft.model_dump(mode="json"),
        words=draft.words(),
        version=await _next_version(session, reader, author, draft.supersedes),
    )
    added = await session.scalar(row.on_conflict_do_nothing().returning(MemoryRow.id))
    if added is None:
        raise Conflict("another call superseded that at the same moment", hint="Look at it again.")
    return await get_memory(session, reader, added)


async def get_memory(session: AsyncSession, reader: Reader, memory_id: str) -> Memory:
    """The memory of this id; raises NotFound for one that is not the reader's project's."""
    row = (await session.execute(_selected(reader).where(MemoryRow.id == memory_id))).first()
    if row is None:
        raise NotFound(f"there is no memory {memory_id[:64]!r} in this project")
    return _to_domain(*row)


async def search_memories(session: AsyncSession, reader: Reader, search: Search) -> list[Memory]:
    """The newest that fit. A query matches by words, in any form of them, and by any part of the text."""
    statement = _selected(reader).order_by(MemoryRow.created_at.desc(), MemoryRow.id.desc())
    if search.query:
        by_words = func.to_tsvector(LANGUAGE, MemoryRow.words).bool_op("@@")(
            func.websearch_to_tsquery(LANGUAGE, search.query)
        )
        statement = statement.where(or_(by_words, MemoryRow.words.icontains(search.query, autoescape=True)))
    if search.kinds:
        statement = statement.where(MemoryRow.kind.in_(search.kinds))
    if search.tags:
        statement = statement.where(MemoryRow.tags.contains(list(search.tags)))
    if search.since is not None:
        statement = statement.where(MemoryRow.created_at >= search.since)
    if search.task_id is not None:
        statement = statement.where(MemoryRow.task_id == search.task_id)
    if search.not_of_run is not None:
        statement = statement.where(MemoryRow.run_id != search.not_of_run)
    if search.statuses:
        statement = statement.where(MemoryRow.status.in_(search.statuses))
    if not search.superseded:
        statement = statement.where(_superseded_by().is_(None))
    if search.before is not None:
        statement = statement.where(tuple_(MemoryRow.created_at, MemoryRow.id) < tuple_(*search.before))
    found = await session.execute(statement.limit(search.limit))
    return [_to_domain(*row) for row in found]


async def memories_of_run(session: AsyncSession, run_id: str, kind: MemoryKind) -> list[Memory]:
    """What one run left of a kind, oldest first."""
    found = await session.execute(
        select(MemoryRow, _superseded_by())
        .where(MemoryRow.run_id == run_id, MemoryRow.kind == kind.value)
        .order_by(MemoryRow.created_at, MemoryRow.id)
    )
    return [_to_domain(*row) for row in found]


async def _next_version(session: AsyncSession, reader: Reader, author: Author, supersedes: str | None) -> int:
    if supersedes is None:
        return 1
    old = await get_memory(session, reader, supersedes)
    if TRUSTED.index(author.trust) < TRUSTED.index(old.trust):
        raise Conflict(
            f"{old.id} is of somebody who is trusted more than this run", hint="Leave a memory beside it."
        )
    if old.superseded_by is not None:
        raise Conflict(
            f"{old.id} was superseded before, by {old.superseded_by}", hint="Supersede that one, if need be."
        )
    return old.version + 1


def _selected(reader: Reader) -> Select[MemoryRow, Any]:
    return select(MemoryRow, _superseded_by()).where(
        MemoryRow.organisation_id == reader.organisation_id, MemoryRow.project_id == reader.project_id
    )


def _superseded_by() -> Any:
    newer = aliased(MemoryRow)
    return select(newer.id).where(newer.supersedes == MemoryRow.id).correlate(MemoryRow).scalar_subquery()


def _to_domain(row: MemoryRow, superseded_by: str | None) -> Memory:
    return Memory(
        id=row.id,
        organisation_id=row.organisation_id,
        project_id=row.project_id,
        task_id=row.task_id,
        run_id=row.run_id,
        author=row.author,
        source_call=row.source_call,
        trust=Trust(row.trust),
        kind=MemoryKind(row.kind),
        title=row.title,
        text=row.text,
        status=row.status,
        details=row.details,
        tags=row.tags,
        supersedes=row.supersedes,
        version=row.version,
        superseded_by=superseded_by,
        created_at=row.created_at,
    )
