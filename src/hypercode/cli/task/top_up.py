"""``hypercode task top-up``."""

import json
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.task.target import AsJson, Target, with_run
from hypercode.domain.budget import Limits, TaskBudget
from hypercode.domain.errors import InvalidArgument
from hypercode.runs.top_up import add_to
from hypercode.runs.top_up import top_up as top_up_to
from hypercode.store.runs import get_task_of
from hypercode.store.tables import RunRow
from hypercode.store.users import ensure_local_user


def top_up(  # noqa: PLR0913 - the options of a command
    target: Target,
    turns: Annotated[int | None, typer.Option(help="So many more model calls.", min=1)] = None,
    tokens: Annotated[int | None, typer.Option(help="So many more tokens, in and out.", min=1)] = None,
    dollars: Annotated[float | None, typer.Option(help="So many more US dollars.", min=0)] = None,
    time: Annotated[float | None, typer.Option(help="So many more seconds of work.", min=1)] = None,
    cpu: Annotated[
        float | None, typer.Option(help="So many more CPU seconds of its sandboxes.", min=1)
    ] = None,
    lift_dollars: Annotated[
        bool, typer.Option("--lift-dollars", help="Take the limit in dollars away.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give a task more of its budget; the runs that were paused for it go on.

    What is given is added to the limit, or to what was used where that is more.
    """
    given = {
        "max_turns": turns, "max_tokens": tokens, "max_cost_usd": dollars, "max_wall_s": time, "max_cpu_s": cpu,
    }  # fmt: skip
    more = Limits.model_validate({name: value for name, value in given.items() if value is not None})
    if not more.model_fields_set and not lift_dollars:
        raise InvalidArgument(
            "Nothing to add.", hint="Name at least one of --turns, --tokens, --dollars, --time and --cpu."
        )
    if lift_dollars and dollars is not None:
        raise InvalidArgument("--dollars and --lift-dollars rule each other out.", hint="Give one of them.")

    async def work(session: AsyncSession, run: RunRow) -> tuple[str, TaskBudget]:
        task = await get_task_of(session, run)
        by = (await ensure_local_user(session)).name
        if lift_dollars:
            lifted = await top_up_to(session, task, Limits(max_cost_usd=None), by)
            if not more.model_fields_set:
                return task.id, lifted
        return task.id, await add_to(session, task, more, by)

    task_id, budget = with_run(target, work)
    if as_json:
        typer.echo(json.dumps({"task_id": task_id, **budget.model_dump(mode="json")}))
        return
    typer.echo(f"{task_id}: {', '.join(budget_lines(budget))}")


def budget_lines(budget: TaskBudget) -> list[str]:
    """What was used of which limit, for people."""
    limits, used = budget.limits, budget.used
    rows = [
        ("turns", f"{used.turns}", limits.max_turns, "{:d}"),
        ("tokens", f"{used.tokens}", limits.max_tokens, "{:d}"),
        ("dollars", f"{used.cost_usd:.4f}{'' if used.cost_known else ' or more'}", limits.max_cost_usd, "{:.4f}"),
        ("seconds", f"{used.wall_s:.0f}", limits.max_wall_s, "{:.0f}"),
        ("CPU seconds", f"{used.cpu_s:.1f}", limits.max_cpu_s, "{:.1f}"),
    ]  # fmt: skip
    return [
        f"{said} of {form.format(limit)} {name}" if limit is not None else f"{said} {name}"
        for name, said, limit, form in rows
    ]
