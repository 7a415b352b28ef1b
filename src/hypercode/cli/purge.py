"""``hypercode purge``: leave nothing behind."""

import asyncio
import shutil
from typing import Annotated

import typer

from hypercode.cli.supervisor import live_state
from hypercode.domain.errors import Conflict
from hypercode.sandbox.docker import DockerSandboxes, instance_of
from hypercode.settings import Settings
from hypercode.store import embedded


def purge(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_images: Annotated[bool, typer.Option(help="Keep the images that were built for projects.")] = False,
) -> None:
    """Remove all data of this platform from this machine: runs, artifacts, keys, containers, volumes, images.

    Your own repositories are not touched.
    """
    settings = Settings()
    if live_state(settings) is not None:
        raise Conflict(f"A platform is running on {settings.data_dir}.", hint="Stop it first (Ctrl-C).")
    if not yes:
        typer.confirm(
            f"Remove {settings.data_dir} and all containers, volumes and images of HyperCode?", abort=True
        )
    removed = asyncio.run(_purge_engine(settings, images=not keep_images))
    if (settings.data_dir / "postgres" / "data" / "PG_VERSION").exists():
        embedded.prepare(settings.data_dir / "postgres").stop()
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    typer.echo(f"Removed {settings.data_dir} and {removed} container(s), volume(s) and image(s).")


async def _purge_engine(settings: Settings, *, images: bool) -> int:
    sandboxes = DockerSandboxes(settings.sandbox, instance=instance_of(settings.data_dir))
    try:
        return await sandboxes.purge(images=images)
    finally:
        await sandboxes.close()
