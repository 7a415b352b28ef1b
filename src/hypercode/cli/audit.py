"""``hypercode audit``: what the agents were allowed and what came of it, and whether that record still holds."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from hypercode.cli.database import instance_database
from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.settings import Settings
from hypercode.store.audit_calls import AuditedPair, audited_calls
from hypercode.store.audit_proof import AuditProof, prove_audit
from hypercode.store.audit_seals import SealHead, seal_head
from hypercode.store.database import Database
from hypercode.store.tables import AuditHeadRow, RunRow

HOLDS, BROKEN = 0, 1
NOBODY_REWROTE = "Compare the head with one that was kept elsewhere (--anchor): who owns the database can make a whole chain anew."
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

audit = typer.Typer(
    help="What the tools were asked to do, and whether that record holds.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@audit.callback()
def group() -> None:
    """The audit of tool calls; see docs/reference/audit.md."""


@audit.command()
def verify(
    run: Annotated[str | None, typer.Option(help="Only this run's rows; the seals are all walked.")] = None,
    anchor: Annotated[
        Path | None, typer.Option(help="Heads that were kept elsewhere: lines that `audit head` printed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Walk all chains; exit 0 when they hold, 1 when they are broken."""
    anchors = _read_anchors(anchor) if anchor else {}
    proof = asyncio.run(_verify(run, anchors))
    if as_json:
        typer.echo(json.dumps(_proof_as_json(proof)))
    else:
        typer.echo(_proof_in_words(proof, len(anchors)), err=not proof.ok)
    raise typer.Exit(HOLDS if proof.ok else BROKEN)


@audit.command()
def head() -> None:
    """Print the end of the platform's chain as one line of JSON, to be kept where the platform can't write."""
    typer.echo(json.dumps(_head_as_json(asyncio.run(_head())) | {"read_at": datetime.now(UTC).isoformat()}))


@audit.command()
def show(
    run: Annotated[str | None, typer.Argument(help="A run; without one, of all runs.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only calls of this tool.")] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only calls that were not allowed.")] = False,
    since: Annotated[
        str | None,
        typer.Option(help="Only calls since a time (ISO 8601), or for the last 90s, 30m, 12h, 7d."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show decisions and outcomes, oldest first."""
    moment = _moment(since) if since else None
    calls = asyncio.run(_calls(run, tool=tool, denied=denied, since=moment, limit=limit))
    if as_json:
        for call in calls:
            typer.echo(json.dumps(_call_as_json(call), ensure_ascii=False))
    elif calls:
        typer.echo(_table([_line(call, with_run=run is None) for call in calls], with_run=run is None))
    else:
        typer.echo("No call fits.", err=True)


async def _verify(run: str | None, anchors: dict[int, bytes]) -> AuditProof:
    async with instance_database(Settings(), _say) as database:
        if run is not None:
            await _must_exist(database, run)
        async with database.transaction() as session:
            return await prove_audit(session, run_id=run, anchors=anchors)


async def _head() -> SealHead:
    async with instance_database(Settings(), _say) as database, database.transaction() as session:
        return await seal_head(session)


async def _calls(run: str | None, **filters: Any) -> Sequence[AuditedPair]:
    async with instance_database(Settings(), _say) as database:
        if run is not None:
            await _must_exist(database, run)
        async with database.transaction() as session:
            return await audited_calls(session, run_id=run, **filters)


async def _must_exist(database: Database, run: str) -> None:
    """A run that was deleted may still have its audit."""
    async with database.transaction() as session:
        if await session.get(RunRow, run) is None and await session.get(AuditHeadRow, run) is None:
            raise NotFound(f"There is no run {run}.", hint="`hypercode audit show` names the runs.")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _read_anchors(file: Path) -> dict[int, bytes]:
    """Each line is a head; raises InvalidArgument for a file that holds none."""
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        anchors = {int(line["seq"]): bytes.fromhex(line["hash"]) for line in lines if line["seq"]}
    except OSError as error:
        raise InvalidArgument(f"{file} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(
            f"{file} holds no heads of an audit.", hint="Each line is what `hypercode audit head` printed."
        ) from error
    if not lines:
        raise InvalidArgument(f"{file} is empty.", hint="Each line is what `hypercode audit head` printed.")
    return anchors


def _moment(since: str) -> datetime:
    if ago := re.fullmatch(r"(\d{1,5})([smhd])", since):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise InvalidArgument(
            f"{since!r} is no time.", hint="For instance 2026-01-31T08:00Z, or 12h for the last twelve hours."
        ) from None
    return moment if moment.tzinfo else moment.astimezone()


def _head_as_json(head: SealHead) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash.hex()}


def _proof_as_json(proof: AuditProof) -> dict[str, Any]:
    return {
        "ok": proof.ok,
        "problem": _printable(proof.problem),
        "runs": proof.runs,
        "rows": proof.rows,
        "seals": proof.seals,
        "unsealed": proof.unsealed,
        "head": _head_as_json(proof.head),
    }


def _proof_in_words(proof: AuditProof, anchors: int) -> str:
    if not proof.ok:
        return f"BROKEN: {_printable(proof.problem)}"
    lines = [
        f"The audit holds: {proof.rows} rows of {proof.runs} runs, {proof.seals} seals.",
        f"Head: {proof.head.seq} {proof.head.hash.hex()}",
    ]
    if proof.unsealed:
        lines.append(f"{proof.unsealed} ended runs have rows that no seal covers yet.")
    lines.append(f"{anchors} anchors stand in the chain." if anchors else NOBODY_REWROTE)
    return "\n".join(lines)


def _call_as_json(call: AuditedPair) -> dict[str, Any]:
    return {
        "run_id": call.run_id,
        "call_id": call.call_id,
        "tool": call.tool,
        "arguments_sha256": call.arguments_sha256,
        "decided_at": call.decided_at.astimezone(UTC).isoformat(),
        "decision": call.decision,
        "ended_at": call.ended_at.astimezone(UTC).isoformat() if call.ended_at else None,
        "outcome": call.outcome,
        "duration_ms": call.duration_ms,
    }


def _line(call: AuditedPair, *, with_run: bool) -> list[str]:
    duration = "" if call.duration_ms is None else f"{call.duration_ms:.0f} ms"
    return [
        call.decided_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        *([call.run_id] if with_run else []),
        call.tool,
        str(call.decision.get("effect", "")),
        str(call.decision.get("rule", "")),
        str((call.outcome or {}).get("outcome", "open")),
        duration,
    ]


def _table(lines: list[list[str]], *, with_run: bool) -> str:
    """Columns by width; what a caller sent (a tool's name) can't steer the terminal."""
    names = ["time", *(["run"] if with_run else []), "tool", "effect", "rule", "outcome", "duration"]
    rows = [names, *([_printable(cell) for cell in line] for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
