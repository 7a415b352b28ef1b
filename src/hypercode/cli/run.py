"""``hypercode run``: one task from the terminal, with or without a running platform."""

import asyncio
import importlib
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from hypercode.cli.exit_codes import EXIT_BY_CODE, INTERRUPTED, PLATFORM, exit_code
from hypercode.cli.show import Show, shows
from hypercode.cli.supervisor import attached
from hypercode.domain.attestation import Grade
from hypercode.domain.budget import Budget
from hypercode.domain.errors import HyperCodeError, InvalidArgument
from hypercode.domain.task import NewTask, Priority
from hypercode.settings import Settings
from hypercode.telemetry.logging import configure_logging

ApproveOption = Literal["ask", "never", "wait"]


def run(  # noqa: PLR0913 - the options of a command
    prompt: Annotated[str, typer.Argument(help="What to do, in words.")],
    repo: Annotated[Path, typer.Option(help="The repository or folder; it is read, never changed.")] = Path(),
    model: Annotated[
        str | None,
        typer.Option(help="builtin/repair, openai:NAME, anthropic:NAME, ollama:NAME, scripted:FILE, …"),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(help="The command that decides; more than one may be given. Default: found."),
    ] = None,
    require: Annotated[Grade, typer.Option(help="The grade that counts as verified.")] = Grade.FIXED,
    max_turns: Annotated[int | None, typer.Option(help="Budget: model calls.", min=1)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Budget: tokens in and out.", min=1)] = None,
    budget: Annotated[float | None, typer.Option(help="Budget: US dollars.", min=0)] = None,
    max_time: Annotated[float | None, typer.Option(help="Budget: seconds of work.", min=1)] = None,
    max_cpu: Annotated[
        float | None, typer.Option(help="Budget: CPU seconds of the sandboxes.", min=1)
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="Which of the project's waiting tasks goes first.")
    ] = Priority.NORMAL,
    plan: Annotated[bool, typer.Option("--plan", help="Let the Architect plan first.")] = False,
    include_dirty: Annotated[
        bool, typer.Option("--include-dirty", help="Take uncommitted work along.")
    ] = False,
    patch_out: Annotated[Path | None, typer.Option(help="Write the diff to this file.")] = None,
    approve: Annotated[
        ApproveOption,
        typer.Option(
            help="Calls that need a person: ask in the terminal (without one they are refused), never, or wait for "
            "the web page."
        ),
    ] = "ask",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one event a line; the last is run.finished.")
    ] = False,
) -> None:
    """Work on a repository, check the result in a clean container, and print the diff.

    Exit codes: 0 verified; 1 ran, below the required grade; 2 bad input; 3 refused by policy; 4 stopped by
    budget; 5 the platform or the environment failed, nothing was judged; 130 interrupted, the diff is kept.
    """
    configure_logging("ERROR")
    show = shows(as_json=as_json)
    try:
        request = _request(
            prompt=prompt, model=_absolute_script(model), checks=check or [], require=require,
            budget=_budget(max_turns, max_tokens, budget, max_time, max_cpu), include_dirty=include_dirty,
            priority=priority, routing="architect" if plan else "auto",
        )  # fmt: skip
        code = asyncio.run(_work(_checked_repo(repo), request, show, patch_out, approve))
    except HyperCodeError as error:
        show.failed(error)
        code = EXIT_BY_CODE.get(error.code, PLATFORM)
    raise typer.Exit(code)


def _request(**fields: Any) -> NewTask:
    try:
        return NewTask(project_id="prj_" + "0" * 32, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidArgument(
            f"{first['loc'][0]}: {first['msg']}", hint="See `hypercode run --help`."
        ) from error


def _budget(
    turns: int | None, tokens: int | None, dollars: float | None, seconds: float | None, cpu: float | None
) -> Budget:
    given = {
        "max_turns": turns, "max_tokens": tokens, "max_cost_usd": dollars, "max_wall_s": seconds, "max_cpu_s": cpu,
    }  # fmt: skip
    return Budget.model_validate({name: value for name, value in given.items() if value is not None})


def _checked_repo(repo: Path) -> Path:
    """Refuse at once what can't be a repository; what is in it is looked at in a container."""
    if not repo.exists():
        raise InvalidArgument(f"There is no {repo}.", hint="Give the path of a repository with --repo.")
    if not repo.is_dir():
        raise InvalidArgument(f"{repo} is a file.", hint="Give the directory of the repository with --repo.")
    return repo.resolve()


def _absolute_script(model: str | None) -> str | None:
    if model is None or not model.startswith("scripted:"):
        return model
    path = Path(model.removeprefix("scripted:"))
    if not path.is_file():
        raise InvalidArgument(f"There is no script {path}.", hint="scripted:FILE names a YAML file of turns.")
    return f"scripted:{path.resolve()}"


async def _work(
    repo: Path, request: NewTask, show: Show, patch_out: Path | None, approve: ApproveOption
) -> int:
    """Start or find a platform, hand the task in, follow it to its end."""
    interrupted = asyncio.Event()
    settings = Settings()
    # The handler stands before anything is started: an early Ctrl-C must stop all of it again.
    main = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _interrupt, main, interrupted)
    # The database's libraries load beside the fork server's own, on the other core.
    loading = asyncio.create_task(asyncio.to_thread(importlib.import_module, "hypercode.cli.submission"))
    try:
        async with attached(settings, show.say) as platform:
            submission = (await loading).Submission(settings, repo, show, interrupted, approve)
            return exit_code(await submission.follow(platform, request, patch_out))
    except asyncio.CancelledError:
        if interrupted.is_set():
            return INTERRUPTED
        raise


def _interrupt(main: asyncio.Task[Any] | None, interrupted: asyncio.Event) -> None:
    interrupted.set()
    if main is not None:
        main.cancel()


if sys.platform == "win32":  # pragma: no cover - signal handlers of asyncio are for POSIX
    raise ImportError("hypercode run needs a POSIX system; use WSL 2 on Windows.")
