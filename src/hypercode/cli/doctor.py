"""``hypercode doctor``: what works on this machine, and what to do about the rest."""

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from hypercode.cli.supervisor import live_state
from hypercode.domain.errors import HyperCodeError, Unavailable
from hypercode.domain.role import RUN_ROLES
from hypercode.domain.worker import WorkerState
from hypercode.policy.files import load_policy
from hypercode.sandbox.docker import DockerSandboxes, instance_of
from hypercode.settings import Settings
from hypercode.store import embedded
from hypercode.store.database import database_away, open_database
from hypercode.store.workers import Census, census

WANTED_FREE_BYTES = 5 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at the container engine, the database, the policy, the workers, Redis where one is set, and the disk; exit 0 when all is well, else 1."""
    settings = Settings()
    findings = [
        _try("container engine", lambda: _engine(settings)),
        _try("database", lambda: _database(settings)),
        _try("policy", lambda: _policy(settings)),
    ]
    if settings.redis_url is not None:
        findings.append(_try("redis", lambda: _redis(settings)))
    findings += [_disk(settings), _platform(settings), _try("workers", lambda: _workers(settings))]
    if as_json:
        typer.echo(json.dumps({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]}))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.detail}")
            if finding.hint:
                typer.echo(f"     {finding.hint}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _try(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except HyperCodeError as error:
        return Finding(name, False, error.message, error.hint)


def _engine(settings: Settings) -> str:
    facts = asyncio.run(_engine_facts(settings))
    return ", ".join(f"{key} {value}" for key, value in facts.items())


async def _engine_facts(settings: Settings) -> dict[str, str]:
    sandboxes = DockerSandboxes(settings.sandbox, instance=instance_of(settings.data_dir))
    try:
        return await sandboxes.ready()
    finally:
        await sandboxes.close()


def _database(settings: Settings) -> str:
    if settings.database_url is not None:
        return "a server of yours (HYPERCODE_DATABASE_URL)"
    server = embedded.prepare(settings.data_dir / "postgres")
    return f"embedded PostgreSQL, {server.home}"


def _policy(settings: Settings) -> str:
    policy = load_policy(settings.policy_file)
    where = f", {settings.policy_file} (HYPERCODE_POLICY_FILE)" if settings.policy_file else ""
    return f"{policy.name} version {policy.version}, sha256 {policy.sha256[:12]}{where}"


def _redis(settings: Settings) -> str:
    if not asyncio.run(_redis_answers(settings)):
        raise Unavailable(
            "The Redis of HYPERCODE_REDIS_URL does not answer.",
            hint="The platform works without it, slower; check that it runs, and the URL's address and password.",
        )
    return "a server of yours (HYPERCODE_REDIS_URL) answers"


async def _redis_answers(settings: Settings) -> bool:
    database = open_database("postgresql://", settings.redis_url)
    try:
        return database.redis is not None and await database.redis.answers()
    finally:
        await database.dispose()


def _disk(settings: Settings) -> Finding:
    directory = settings.data_dir
    while not directory.exists():
        directory = Path(directory.parent)
    free = shutil.disk_usage(directory).free
    enough = free >= WANTED_FREE_BYTES
    return Finding(
        "disk",
        enough,
        f"{free / 1024**3:.1f} GiB free at {directory}",
        "" if enough else "Environments and images need about 5 GiB.",
    )


def _workers(settings: Settings) -> str:
    state = live_state(settings)
    url = settings.database_url or (state.database_url if state else None)
    if url is None:
        return "none, as no platform is running"
    try:
        counted = asyncio.run(_census(url))
    except SQLAlchemyError as error:
        raise database_away(error) from error
    if idle := [role.value for role in RUN_ROLES if role.value not in counted.roles]:
        raise Unavailable(
            f"No worker is there for runs of the role {' or '.join(idle)}: such runs stay in the queue.",
            hint="Start one: `hypercode worker`, or `hypercode up`, which brings its own.",
        )
    alive, stopped, dead = (counted.by_state[each.value] for each in WorkerState)
    return (
        f"{alive} alive; in the last week {stopped} stopped and {dead} died, "
        f"and {counted.taken_over} run(s) of the dead were taken over"
    )


async def _census(url: str) -> Census:
    database = open_database(url, None)
    try:
        async with database.transaction() as session:
            return await census(session)
    finally:
        await database.dispose()


def _platform(settings: Settings) -> Finding:
    state = live_state(settings)
    return Finding("platform", True, f"running at {state.gateway_url}" if state else "not running")
