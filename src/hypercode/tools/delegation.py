"""plan_*, task_delegate, result_report: an Architect's plan, its items as runs of Coders, and what they report."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

from pydantic import Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import Budget
from hypercode.domain.errors import Conflict, NotFound
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.memory import Draft, MemoryKind
from hypercode.domain.plan import Plan, PlanItem
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus
from hypercode.mcp_protocol.caps import cap_text, storable
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.policy.grants import narrow
from hypercode.store.budgets import give_share
from hypercode.store.database import Database
from hypercode.store.memories import add_memory
from hypercode.store.queue import enqueue_run
from hypercode.store.runs import create_run
from hypercode.store.tables import PlanRow, RunRow
from hypercode.telemetry.tracing import here
from hypercode.tools.authorship import author_of
from hypercode.tools.registry import Tool, ToolContext, ToolReply

CHILD_GRANT_LIFE = timedelta(hours=24)
"""A child's grant ends with its parent's at the latest; see ``policy.grants``."""


class PlanSubmitArguments(Arguments):
    """The items in an order that respects their dependencies."""

    summary: str = Field(min_length=1, max_length=20_000)
    items: list[PlanItem] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _is_a_plan(self) -> "PlanSubmitArguments":
        try:
            self.plan()
        except ValidationError as error:
            raise ValueError(error.errors(include_url=False)[0]["msg"]) from error
        return self

    def plan(self) -> Plan:
        """The plan that these arguments are."""
        return Plan(summary=self.summary, items=self.items)


class PlanSubmitted(Closed):
    """Where the plan is kept; a later plan of the same run has a higher version."""

    plan_id: str
    version: int


class PlanStatusArguments(Arguments):
    """Nothing to choose."""


class ItemStatus(Closed):
    """An item, and how far the run is that works on it."""

    item_id: str
    title: str
    run_id: str | None
    status: str
    proof: str | None
    verified: bool | None


class PlanStatus(Closed):
    """The latest plan's items."""

    plan_id: str
    version: int
    items: list[ItemStatus]


class Share(Closed):
    """What the run may use of the task's budget; what is left out has no limit but the task's."""

    turns: int | None = Field(default=None, ge=1, le=1_000_000)
    tokens: int | None = Field(default=None, ge=1, le=10**12)
    cost_usd: float | None = Field(default=None, gt=0, le=10**6)
    cpu_s: float | None = Field(default=None, gt=0, le=10**9)

    def limits(self) -> Budget:
        """The same as a budget."""
        return Budget(
            max_turns=self.turns,
            max_tokens=self.tokens,
            max_cost_usd=self.cost_usd,
            max_wall_s=None,
            max_cpu_s=self.cpu_s,
        )


class DelegateArguments(Arguments):
    """Which item; ``model`` None means the model of the delegating run, ``share`` None all that is left of the budget."""

    item_id: str = Field(min_length=1, max_length=40)
    model: str | None = Field(default=None, min_length=1, max_length=200)
    share: Share | None = None


class Delegated(Closed):
    """The child run."""

    run_id: str
    workspace_id: str
    status: str


class ReportArguments(Arguments):
    """What a Coder says that it did, and what shows it."""

    summary: str = Field(min_length=1, max_length=8_000)
    evidence: list[Annotated[str, StringConstraints(min_length=1, max_length=1_000)]] = Field(
        default_factory=list, max_length=20, description="What was run and what it showed, a line each."
    )


class Reported(Closed):
    """The report that was kept; the last one of a run is shown to who delegated."""

    id: str
    item_id: str


class Delegation:
    """The group's tools need the database, and the public key to narrow grants."""

    def __init__(self, database: Database, grant_public_hex: str) -> None:
        self._database = database
        self._grant_public_hex = grant_public_hex

    def tools(self) -> Sequence[Tool[Any]]:
        """The group's tools."""
        return (
            Tool(
                "plan_submit",
                "Submit the plan: items for Coders, each after the items it depends on.",
                PlanSubmitArguments,
                PlanSubmitted,
                self.plan_submit,
                read_only=False,
            ),
            Tool(
                "plan_status",
                "Show the plan's items and how far their runs are.",
                PlanStatusArguments,
                PlanStatus,
                self.plan_status,
                read_only=True,
            ),
            Tool(
                "task_delegate",
                "Hand one item of the plan to a Coder, as a run of its own.",
                DelegateArguments,
                Delegated,
                self.task_delegate,
                read_only=False,
            ),
            Tool(
                "result_report",
                "Report the result of the plan item that this run works on, to who delegated it.",
                ReportArguments,
                Reported,
                self.result_report,
                read_only=False,
                repeatable=True,
                errors=("CONFLICT", "TOO_LARGE"),
            ),
        )

    async def plan_submit(self, context: ToolContext, args: PlanSubmitArguments) -> ToolReply:
        """Store the plan as the run's next version."""
        grant = context.grant
        async with self._database.transaction() as session:
            await _locked_run(session, grant.run_id)
            last = await session.scalar(
                select(func.max(PlanRow.version)).where(PlanRow.run_id == grant.run_id)
            )
            row = PlanRow(
                id=new_id("plan"),
                organisation_id=grant.organisation_id,
                project_id=grant.project_id,
                run_id=grant.run_id,
                version=(last or 0) + 1,
                plan=args.plan().model_dump(mode="json"),
            )
            session.add(row)
        result = PlanSubmitted(plan_id=row.id, version=row.version)
        return ToolReply(result, f"Plan version {row.version} with {len(args.items)} items is accepted.")

    async def plan_status(self, context: ToolContext, _: PlanStatusArguments) -> ToolReply:
        """Read the latest plan and the runs of its items."""
        async with self._database.transaction() as session:
            row = await _latest_plan(session, context.grant.run_id)
            children = await _children(session, context.grant.run_id)
        items = [_item_status(item, children.get(item.id)) for item in Plan.model_validate(row.plan).items]
        text = "\n".join(f"{item.item_id}: {item.status} {item.run_id or ''}".rstrip() for item in items)
        return ToolReply(PlanStatus(plan_id=row.id, version=row.version, items=items), cap_text(text)[0])

    async def task_delegate(self, context: ToolContext, args: DelegateArguments) -> ToolReply:
        """Create and enqueue a child run with a narrowed grant; raises Conflict for an item handed out before."""
        async with self._database.transaction() as session:
            parent = await _locked_run(session, context.grant.run_id)
            plan = Plan.model_validate((await _latest_plan(session, parent.id)).plan)
            item = next((item for item in plan.items if item.id == args.item_id), None)
            if item is None:
                raise NotFound(f"the plan has no item {args.item_id!r}")
            children = await _children(session, parent.id)
            if item.id in children:
                raise Conflict(
                    f"item {item.id!r} was delegated before, to {children[item.id].id}",
                    hint="To try again, submit a plan in which it has another id.",
                )
            for need in item.depends_on:
                if need not in children or children[need].status != RunStatus.SUCCEEDED.value:
                    raise Conflict(f"item {item.id!r} needs {need!r}, whose run has not succeeded yet")
            child = await self._create_child(session, parent, context.grant, item, args.model or parent.model)
            if args.share is not None:
                await give_share(session, child, args.share.limits())
        result = Delegated(run_id=child.id, workspace_id=child.workspace_id, status=child.status)
        return ToolReply(result, f"Item {item.id} went to {child.id}.")

    async def result_report(self, context: ToolContext, args: ReportArguments) -> ToolReply:
        """Keep a report; it is a claim until the platform has checked the whole."""
        said = cast(dict[str, Any], storable(args.model_dump(mode="json")))
        draft = Draft(kind=MemoryKind.RESULT, text=said["summary"], details={"evidence": said["evidence"]})
        async with self._database.transaction() as session:
            run = await session.get_one(RunRow, context.grant.run_id)
            if run.plan_item_id is None:
                raise Conflict(
                    "this run works on no plan item", hint="Say the result in your last message instead."
                )
            memory = await add_memory(session, author_of(context), draft)
        return ToolReply(
            Reported(id=memory.id, item_id=run.plan_item_id), f"Reported for item {run.plan_item_id}."
        )

    async def _create_child(
        self, session: AsyncSession, parent: RunRow, grant: Grant, item: PlanItem, model: str
    ) -> RunRow:
        run_id, workspace_id = new_id("run"), new_id("workspace")
        token = narrow(
            self._grant_public_hex,
            parent.grant_token,
            child=(run_id, workspace_id, AgentRole.CODER),
            tools=None,
            expires_at=min(grant.expires_at, datetime.now(UTC) + CHILD_GRANT_LIFE),
        )
        child = await create_run(
            session,
            id=run_id,
            organisation_id=parent.organisation_id,
            project_id=parent.project_id,
            task_id=parent.task_id,
            parent_run_id=parent.id,
            plan_item_id=item.id,
            goal=item.goal,
            role=AgentRole.CODER,
            model=model,
            workspace_id=workspace_id,
            grant_token=token,
            trace_parent=here(),
        )
        await enqueue_run(session, child)
        return child


async def _locked_run(session: AsyncSession, run_id: str) -> RunRow:
    """Lock the run's row, so that two calls can't hand the same item out twice."""
    return (await session.execute(select(RunRow).where(RunRow.id == run_id).with_for_update())).scalar_one()


async def _latest_plan(session: AsyncSession, run_id: str) -> PlanRow:
    row = await session.scalar(
        select(PlanRow).where(PlanRow.run_id == run_id).order_by(PlanRow.version.desc()).limit(1)
    )
    if row is None:
        raise NotFound("there is no plan yet", hint="Call plan_submit first.")
    return row


async def _children(session: AsyncSession, run_id: str) -> dict[str, RunRow]:
    rows = await session.scalars(select(RunRow).where(RunRow.parent_run_id == run_id))
    return {row.plan_item_id: row for row in rows if row.plan_item_id is not None}


def _item_status(item: PlanItem, child: RunRow | None) -> ItemStatus:
    return ItemStatus(
        item_id=item.id,
        title=item.title,
        run_id=child.id if child else None,
        status=child.status if child else "open",
        proof=child.proof if child else None,
        verified=child.verified if child else None,
    )
