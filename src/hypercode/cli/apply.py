"""``hypercode apply``: bring a run's diff into your own repository, when you say so."""

import asyncio
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from hypercode.cli.supervisor import attached
from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.errors import Conflict, InvalidArgument, NotFound
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore, artifacts_of
from hypercode.store.database import Database

# Nothing that the repository configures may run while a diff from a model is applied.
GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


def apply(
    source: Annotated[str, typer.Argument(help="A run's id, or the file of a diff.")],
    repo: Annotated[Path, typer.Option(help="The repository or folder to change.")] = Path(),
    check_only: Annotated[bool, typer.Option("--check", help="Only say whether it would apply.")] = False,
) -> None:
    """Apply a run's diff to your work tree, all of it or nothing; nothing is committed."""
    if not repo.is_dir():
        raise InvalidArgument(f"There is no directory {repo}.", hint="Give it with --repo.")
    diff = Path(source).read_bytes() if _is_readable(source) else asyncio.run(_diff_of(source))
    if not diff:
        typer.echo("The diff is empty; there is nothing to apply.")
        return
    arguments = ["apply", "--whitespace=nowarn", *(["--check"] if check_only else [])]
    done = subprocess.run([*GIT, *arguments, "-"], input=diff, cwd=repo, capture_output=True, check=False)
    if done.returncode != 0:
        raise Conflict(
            f"The diff does not apply to {repo.resolve()}: {done.stderr.decode(errors='replace').strip()}",
            hint="Nothing was changed. Has the repository moved on since the run? Start it again from here.",
        )
    typer.echo("It would apply." if check_only else "Applied. Look at it with `git diff`.")


def _is_readable(source: str) -> bool:
    # A pipe (`hypercode apply <(…)`) is as good as a file.
    path = Path(source)
    return path.exists() and not path.is_dir()


async def _diff_of(run_id: str) -> bytes:
    settings = Settings()
    async with attached(settings, lambda text: typer.echo(text, err=True)) as platform:
        database = Database(platform.database_url)
        try:
            async with database.transaction() as session:
                rows = [a for a in await artifacts_of(session, run_id) if a.kind == ArtifactKind.DIFF.value]
        finally:
            await database.dispose()
    if not rows:
        raise NotFound(f"There is no run {run_id} with a diff.", hint="Give a run's id, or a file.")
    return ArtifactStore(settings.artifacts_dir).read(rows[-1])
