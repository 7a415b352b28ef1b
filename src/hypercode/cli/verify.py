"""``hypercode verify FILE``: is this attestation signed, by whom, and what does it say."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hypercode.domain.errors import HyperCodeError
from hypercode.settings import Settings
from hypercode.verification.attestation import (
    EXTENSION,
    SignatureInvalid,
    check,
    key_id,
    read_envelope,
    read_public_key,
)

VALID, INVALID, UNUSABLE = 0, 1, 2


def verify(
    file: Annotated[Path, typer.Argument(help="An attestation: the attestation.json of a run.")],
    public_key: Annotated[
        Path | None, typer.Option(help="The instance's public key (PEM); by default this instance's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Check the signature of an attestation and say what it states."""
    try:
        key = read_public_key(public_key or Settings().keys_dir / "attestation.pub")
        statement = check(read_envelope(_read(file)), key)
        text = _told(statement)
    except SignatureInvalid as error:
        _refuse(error, INVALID, as_json)
    except (HyperCodeError, KeyError, TypeError, AttributeError) as error:
        _refuse(error, UNUSABLE, as_json)
    else:
        signer = key_id(key)
        if as_json:
            typer.echo(json.dumps({"valid": True, "key_id": signer, "statement": statement}))
        else:
            typer.echo(f"signed by instance {signer}\n{text}")
        raise typer.Exit(VALID)


def _told(statement: dict[str, Any]) -> str:
    said = statement["predicate"][EXTENSION]
    lines = [
        f"grade: {said['grade']} ({said['reason']})",
        f"verified: {'yes' if said['verified'] else 'no'} (required: {said['required']})",
        f"run: {said['run']} at {said['time']}",
        f"base tree: {said['base']['tree']}",
        f"head tree: {said['head']['tree']}",
        *(_told_check(one) for one in said["checks"]),
        *(f"finding: {one['code']}: {one['message']}" for one in said["findings"]),
        said["means"],
    ]
    # What a statement quotes (test names, paths) comes from a repository: no control characters reach a terminal.
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _told_check(one: dict[str, Any]) -> str:
    base, head = one["base"][0], one["head"]
    return (
        f"check: {' '.join(one['argv'])}: base {base['passed']} passed, {base['failed']} failed; "
        f"head {head['passed']} passed, {head['failed']} failed (exit code {head['exitCode']})"
    )


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise HyperCodeError(f"{file} can't be read: {error.strerror}.") from None


def _refuse(error: Exception, code: int, as_json: bool) -> None:
    message = (
        error.message if isinstance(error, HyperCodeError) else "The statement is not one of HyperCode's."
    )
    hint = error.hint if isinstance(error, HyperCodeError) else ""
    if as_json:
        typer.echo(json.dumps({"valid": False, "message": message, "hint": hint}))
    else:
        typer.echo(f"{'NOT VALID: ' if code == INVALID else ''}{message} {hint}".rstrip(), err=True)
    raise typer.Exit(code)
