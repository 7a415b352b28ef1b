"""``hypercode apply``: bring a run's diff into your own repository, when you say so."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from hypercode.cli.supervisor import attached
from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.errors import Conflict, InvalidArgument, NotFound
from hypercode.domain.preview import visible
from hypercode.policy.decide import protected_paths
from hypercode.policy.files import load_policy
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore, artifacts_of
from hypercode.store.database import Database
from hypercode.store.objects import open_objects
from hypercode.verification.diffs import read_diff

REFUSED = 3
# Nothing that the repository configures may run while a diff from a model is applied.
GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


def apply(
    source: Annotated[str, typer.Argument(help="A run's id, or the file of a diff.")],
    repo: Annotated[Path, typer.Option(help="The repository or folder to change.")] = Path(),
    check_only: Annotated[bool, typer.Option("--check", help="Only say whether it would apply.")] = False,
    allow_protected: Annotated[
        bool, typer.Option("--allow-protected", help="Do not ask about protected files.")
    ] = False,
) -> None:
    """Apply a run's diff to your work tree, all of it or nothing; nothing is committed.

    A diff that touches protected files (CI, hooks, .env, what agents obey) is applied when you say so: it asks in a terminal,
    and elsewhere ends with exit code 3.
    """
    if not repo.is_dir():
        raise InvalidArgument(f"There is no directory {repo}.", hint="Give it with --repo.")
    diff = Path(source).read_bytes() if _is_readable(source) else asyncio.run(_diff_of(source))
    if not diff:
        typer.echo("The diff is empty; there is nothing to apply.")
        return
    protected = protected_paths(load_policy(Settings().policy_file), paths_of(diff))
    if protected and not allow_protected:
        _confirm(protected, check_only=check_only)
    arguments = ["apply", "--whitespace=nowarn", *(["--check"] if check_only else [])]
    done = subprocess.run([*GIT, *arguments, "-"], input=diff, cwd=repo, capture_output=True, check=False)
    if done.returncode != 0:
        raise Conflict(
            f"The diff does not apply to {repo.resolve()}: {done.stderr.decode(errors='replace').strip()}",
            hint="Nothing was changed. Has the repository moved on since the run? Start it again from here.",
        )
    typer.echo("It would apply." if check_only else "Applied. Look at it with `git diff`.")


def paths_of(diff: bytes) -> tuple[str, ...]:
    """Every path that the diff names, as git reads it, and the old ones of renames."""
    asked = subprocess.run(
        [*GIT, "apply", "--numstat", "-z", "-"], input=diff, capture_output=True, check=False
    )
    rows = [row.split("\t", 2) for row in asked.stdout.decode(errors="replace").split("\0")]
    named = {row[2] for row in rows if len(row) > 2}
    for change in read_diff(diff.decode(errors="replace")):
        named |= change.paths
    return tuple(sorted(named))


def _confirm(protected: tuple[str, ...], *, check_only: bool) -> None:
    typer.echo("The diff touches protected files; they can run code or hold secrets here:", err=True)
    for path in protected:
        typer.echo(f"  {visible(path)}", err=True)
    if check_only:
        return
    if not sys.stdin.isatty():
        typer.echo("Nothing was applied. Look at them, then use --allow-protected.", err=True)
        raise typer.Exit(REFUSED)
    if not typer.confirm("Apply them?", err=True):
        raise typer.Exit(REFUSED)


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
    return await ArtifactStore(open_objects(settings)).read(rows[-1])
