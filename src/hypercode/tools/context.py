"""ctx_*: what a run leaves for later runs of its project, and what earlier ones left for it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.memory import Draft, Memory, MemoryKind
from hypercode.mcp_protocol.caps import DEFAULT_CAP, cap_text, storable
from hypercode.mcp_protocol.cursors import Paged
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.store.database import Database
from hypercode.store.memories import Reader, Search, add_memory, get_memory, search_memories
from hypercode.tools.authorship import author_of
from hypercode.tools.memory_text import told, within
from hypercode.tools.registry import Tool, ToolContext, ToolReply

Line = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Tag = Annotated[str, StringConstraints(pattern=r"^[\w./:-]{1,40}$")]
Tags = Annotated[list[Tag], Field(max_length=10)]
MemoryId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Kind = Literal["note", "fact", "todo", "gotcha", "decision", "handoff", "result", "run_summary"]
SUPERSEDES = Field(default=None, description="An older memory that this one stands in the place of.")
STANDING = ("proposed", "accepted")
BRIEF_DECISIONS, BRIEF_GOTCHAS = 20, 20


class NoteArguments(Arguments):
    """Something worth knowing. ``refs`` are paths, commits or links that it speaks of."""

    kind: Literal["note", "fact", "todo", "gotcha"]
    text: str = Field(min_length=1, max_length=8_000)
    tags: Tags = Field(default_factory=list)
    refs: list[Line] = Field(
        default_factory=list, max_length=20, description="Paths, commits or links that it speaks of."
    )
    supersedes: MemoryId | None = SUPERSEDES


class DecisionArguments(Arguments):
    """A choice, and what it was chosen over."""

    title: str = Field(min_length=1, max_length=200)
    context: str = Field(min_length=1, max_length=4_000, description="What made a choice necessary.")
    decision: str = Field(min_length=1, max_length=4_000)
    alternatives: list[Line] = Field(default_factory=list, max_length=10)
    status: Literal["proposed", "accepted", "rejected"] = "accepted"
    tags: Tags = Field(default_factory=list)
    supersedes: MemoryId | None = SUPERSEDES


class HandoffArguments(Arguments):
    """Where the work stands, for whoever goes on."""

    summary: str = Field(min_length=1, max_length=8_000)
    next_steps: list[Line] = Field(default_factory=list, max_length=20)
    open_questions: list[Line] = Field(default_factory=list, max_length=20)


class SearchArguments(Paged):
    """What to look for; everything may be left out."""

    query: str = Field(
        default="", max_length=400, description='Words, "a phrase", or, -not; or any part of the text.'
    )
    kinds: list[Kind] = Field(default_factory=list, max_length=8)
    tags: Tags = Field(default_factory=list, description="All of them.")
    since: str | None = Field(default=None, max_length=40, description="ISO 8601.")
    scope: Literal["task", "project"] = "project"
    superseded: bool = Field(default=False, description="Show what was superseded, too.")
    limit: int = Field(default=20, ge=1, le=100)

    def moment(self) -> datetime | None:
        """``since`` as a time; UTC where it names no zone."""
        if self.since is None:
            return None
        try:
            moment = datetime.fromisoformat(self.since)
        except ValueError:
            raise InvalidArgument(
                "since is no ISO 8601 time", hint="For instance 2026-01-31T08:00Z."
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class GetArguments(Arguments):
    """Which one."""

    id: MemoryId


class BriefArguments(Arguments):
    """How much of it."""

    max_tokens: int = Field(default=1_500, ge=200, le=8_000)


class Remembered(Closed):
    """The memory that was kept. It is never changed; a newer one can supersede it."""

    id: str
    version: int


class MemoryView(Closed):
    """A memory: what it says, and who left it when."""

    id: str
    kind: str
    title: str
    text: str
    status: str | None
    details: dict[str, list[str] | str]
    tags: list[str]
    author: str
    trust: str
    task_id: str
    run_id: str
    source_call: str
    version: int
    supersedes: str | None
    superseded_by: str | None
    created_at: str

    @classmethod
    def of(cls, memory: Memory) -> Self:
        """As it is shown."""
        return cls(**memory.model_dump(mode="json", exclude={"organisation_id", "project_id"}))


class Found(Closed):
    """Newest first."""

    memories: list[MemoryView]
    truncated: bool
    next_cursor: str | None


class Brief(Closed):
    """What to know before work begins; ``left_out`` did not fit the budget."""

    handoff: MemoryView | None
    last_run: MemoryView | None = Field(description="What the platform says of a run that ended after it.")
    decisions: list[MemoryView]
    gotchas: list[MemoryView]
    left_out: int
    empty: bool


class Context:
    """The group's tools need the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tools(self) -> Sequence[Tool[Any]]:
        """The group's tools. The writing ones are keyed by their call, so that to repeat one keeps nothing twice."""
        return (
            Tool(
                "ctx_note_add",
                "Leave a note, a fact, a todo or a gotcha for later runs of this project.",
                NoteArguments,
                Remembered,
                self.ctx_note_add,
                read_only=False,
                repeatable=True,
                errors=("NOT_FOUND", "CONFLICT", "TOO_LARGE"),
            ),
            Tool(
                "ctx_decision_record",
                "Record a decision for later runs of this project: what, why, and over what.",
                DecisionArguments,
                Remembered,
                self.ctx_decision_record,
                read_only=False,
                repeatable=True,
                errors=("NOT_FOUND", "CONFLICT", "TOO_LARGE"),
            ),
            Tool(
                "ctx_search",
                "Search what runs of this project left: notes, decisions, hand-offs, results. Newest first.",
                SearchArguments,
                Found,
                self.ctx_search,
                read_only=True,
            ),
            Tool(
                "ctx_get",
                "Read one memory whole.",
                GetArguments,
                MemoryView,
                self.ctx_get,
                read_only=True,
                errors=("NOT_FOUND",),
            ),
            Tool(
                "ctx_handoff",
                "Hand over: where the work stands, what comes next, what is open. The last one counts.",
                HandoffArguments,
                Remembered,
                self.ctx_handoff,
                read_only=False,
                repeatable=True,
                errors=("TOO_LARGE",),
            ),
            Tool(
                "ctx_brief",
                "What to know before work begins: the latest hand-off, standing decisions, recent gotchas.",
                BriefArguments,
                Brief,
                self.ctx_brief,
                read_only=True,
            ),
        )

    async def ctx_note_add(self, context: ToolContext, args: NoteArguments) -> ToolReply:
        """Keep a note."""
        details: dict[str, list[str] | str] = {"refs": args.refs} if args.refs else {}
        return await self._keep(
            context,
            Draft(
                kind=MemoryKind(args.kind),
                text=args.text,
                details=details,
                tags=args.tags,
                supersedes=args.supersedes,
            ),
        )

    async def ctx_decision_record(self, context: ToolContext, args: DecisionArguments) -> ToolReply:
        """Keep a decision."""
        return await self._keep(
            context,
            Draft(
                kind=MemoryKind.DECISION,
                title=args.title,
                text=args.decision,
                status=args.status,
                details={"context": args.context, "alternatives": args.alternatives},
                tags=args.tags,
                supersedes=args.supersedes,
            ),
        )

    async def ctx_handoff(self, context: ToolContext, args: HandoffArguments) -> ToolReply:
        """Keep a hand-off."""
        return await self._keep(
            context,
            Draft(
                kind=MemoryKind.HANDOFF,
                text=args.summary,
                details={"next_steps": args.next_steps, "open_questions": args.open_questions},
            ),
        )

    async def ctx_search(self, context: ToolContext, args: SearchArguments) -> ToolReply:
        """Look through the project's memories."""
        search = Search(
            query=cast(str, storable(args.query)),
            kinds=args.kinds,
            tags=args.tags,
            since=args.moment(),
            task_id=context.grant.task_id if args.scope == "task" else None,
            superseded=args.superseded,
            before=_place(context.cursors.opened(context.grant.run_id, args)),
            limit=args.limit + 1,
        )
        async with self._database.transaction() as session:
            found = await search_memories(session, _reader(context), search)
        shown, more = found[: args.limit], len(found) > args.limit
        place = f"{shown[-1].created_at.isoformat()} {shown[-1].id}" if more else ""
        result = Found(
            memories=[MemoryView.of(memory) for memory in shown],
            truncated=more,
            next_cursor=context.cursors.sealed(context.grant.run_id, args, place) if more else None,
        )
        return ToolReply(result, cap_text(told(shown) if shown else "Nothing fits.", DEFAULT_CAP)[0])

    async def ctx_get(self, context: ToolContext, args: GetArguments) -> ToolReply:
        """Read one."""
        async with self._database.transaction() as session:
            memory = await get_memory(session, _reader(context), cast(str, storable(args.id)))
        return ToolReply(MemoryView.of(memory), told([memory]))

    async def ctx_brief(self, context: ToolContext, args: BriefArguments) -> ToolReply:
        """Gather what matters most first: the hand-off, the decisions that stand, the gotchas."""
        async with self._database.transaction() as session:
            memories = await _brief(session, _reader(context), context.grant.run_id)
        fitting, left_out = within(memories, args.max_tokens)
        by_kind: defaultdict[MemoryKind, list[MemoryView]] = defaultdict(list)
        for memory in fitting:
            by_kind[memory.kind].append(MemoryView.of(memory))
        result = Brief(
            handoff=next(iter(by_kind[MemoryKind.HANDOFF]), None),
            last_run=next(iter(by_kind[MemoryKind.RUN_SUMMARY]), None),
            decisions=by_kind[MemoryKind.DECISION],
            gotchas=by_kind[MemoryKind.GOTCHA],
            left_out=left_out,
            empty=not fitting,
        )
        more = f"\n({left_out} more did not fit; ctx_search finds them.)" if left_out else ""
        return ToolReply(result, told(fitting) + more)

    async def _keep(self, context: ToolContext, draft: Draft) -> ToolReply:
        storable_draft = Draft.model_validate(storable(draft.model_dump(mode="json")))
        async with self._database.transaction() as session:
            memory = await add_memory(session, author_of(context), storable_draft)
        result = Remembered(id=memory.id, version=memory.version)
        return ToolReply(result, f"Kept as {memory.id}, a {memory.kind.value.replace('_', ' ')}.")


def _place(position: str) -> tuple[datetime, str] | None:
    """Where a page ended: the last memory's time and id. New memories come before it, so no page shifts."""
    if not position:
        return None
    moment, _, memory_id = position.partition(" ")
    return datetime.fromisoformat(moment), memory_id


def _reader(context: ToolContext) -> Reader:
    return Reader(context.grant.organisation_id, context.grant.project_id)


async def _brief(session: AsyncSession, reader: Reader, run_id: str) -> list[Memory]:
    """What there is for a brief, what matters most first."""
    handoffs = await search_memories(session, reader, Search(kinds=("handoff",), not_of_run=run_id, limit=1))
    since = handoffs[0].created_at if handoffs else None
    summaries = await search_memories(
        session, reader, Search(kinds=("run_summary",), not_of_run=run_id, since=since, limit=1)
    )
    decisions = await search_memories(
        session, reader, Search(kinds=("decision",), statuses=STANDING, limit=BRIEF_DECISIONS)
    )
    gotchas = await search_memories(session, reader, Search(kinds=("gotcha",), limit=BRIEF_GOTCHAS))
    return [*handoffs, *summaries, *decisions, *gotchas]
