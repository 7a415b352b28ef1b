"""``hypercode up``: the whole platform on one machine, for one person."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hypercode.cli.listener import bind
from hypercode.cli.supervisor import Supervisor
from hypercode.domain.errors import Unavailable
from hypercode.settings import Settings
from hypercode.telemetry.logging import configure_logging


def up(
    port: Annotated[
        int | None, typer.Option(help="The port of the web UI and the API.", min=1, max=65535)
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            help="A directory whose repositories may be connected; default: your home and this directory."
        ),
    ] = None,
) -> None:
    """Start the platform and print its URL; Ctrl-C stops everything it started, and nothing else.

    Single-user mode: Postgres is brought along, and the worker runs as a process of this machine, not in a
    container of its own.
    """
    settings = _with_options(Settings(), port, host, root)
    configure_logging("WARNING")
    bind(settings).close()
    asyncio.run(_serve(settings, Console(stderr=True, highlight=False)))


def _with_options(
    settings: Settings, port: int | None, host: str | None, root: list[Path] | None
) -> Settings:
    changes: dict[str, object] = {}
    if port is not None:
        changes["port"] = port
    if host is not None:
        changes["host"] = host
    roots = root or settings.gateway.allowed_roots or [Path.home(), Path.cwd()]
    changes["allowed_roots"] = [path.resolve() for path in roots]
    return settings.model_copy(update={"gateway": settings.gateway.model_copy(update=changes)})


async def _serve(settings: Settings, console: Console) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def say(text: str) -> None:
        console.print(f"[dim]{text}[/dim]")

    async with Supervisor(settings, gateway=True, say=say) as supervisor:
        _announce(settings, await supervisor.setup_token(), console)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, supervisor.failed}, return_when=asyncio.FIRST_COMPLETED)
        if supervisor.failed.done():
            raise Unavailable(supervisor.failed.result(), hint="Look into the log, then start again.")
        say("Stopping")
    say("Stopped. Runs that were under way go on at the next start.")


def _announce(settings: Settings, token: str | None, console: Console) -> None:
    url = f"http://{'localhost' if settings.gateway.host == '127.0.0.1' else settings.gateway.host}:{settings.gateway.port}"
    console.print(
        f"HyperCode is ready at [bold]{url}[/bold]   (single-user mode, data in {settings.data_dir})"
    )
    if token is not None:
        console.print(
            f"First run: make the admin account at [bold]{url}/login#token={token}[/bold]", soft_wrap=True
        )
    console.print("[dim]Ctrl-C stops it.[/dim]")
