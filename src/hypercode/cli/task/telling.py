"""How a verb tells a run something, and says what became of it."""

import json
from collections.abc import Awaitable, Callable

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.show import plain
from hypercode.cli.task.target import with_run
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.steering import CommandState, NewCommand, RunCommand, Verb
from hypercode.runs.steering import Steering
from hypercode.settings import Settings
from hypercode.store.tables import RunRow
from hypercode.store.users import ensure_local_user, to_domain

REFUSED = 2
_COMMAND: TypeAdapter[NewCommand] = TypeAdapter(NewCommand)


def tell(target: str, verb: Verb, as_json: bool, **words: object) -> None:
    """Give the command as the person on this machine; ends the process when it is refused."""
    try:
        command = _COMMAND.validate_python({"verb": verb, **words})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidArgument(f"{first['loc'][-1]}: {first['msg']}.") from error
    _show(with_run(target, _as_local(lambda steering, run: steering.give(run, command))), as_json)


def take_back(target: str, command_id: str, as_json: bool) -> None:
    """Withdraw a command; raises Conflict when it was settled."""
    _show(with_run(target, _as_local(lambda steering, run: steering.withdraw(run, command_id))), as_json)


def _as_local(
    do: Callable[[Steering, RunRow], Awaitable[RunCommand]],
) -> Callable[[AsyncSession, RunRow], Awaitable[RunCommand]]:
    async def work(session: AsyncSession, run: RunRow) -> RunCommand:
        user = to_domain(await ensure_local_user(session))
        return await do(Steering(session, user, Settings().keys_dir), run)

    return work


def _show(command: RunCommand, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(command.model_dump(mode="json")))
    else:
        typer.echo(line_of(command))
    if command.state is CommandState.REFUSED:
        raise typer.Exit(REFUSED)


def line_of(command: RunCommand) -> str:
    """One command as one line: what, whose state, and why or what came of it."""
    parts = [f"{command.id}  {command.verb.value} of {command.run_id}: {command.state.value}"]
    if command.code:
        parts.append(f"{command.code} {command.message} {command.hint}".strip())
    if command.made_run_id:
        parts.append(f"new run {command.made_run_id}")
    return plain(". ".join(parts))
