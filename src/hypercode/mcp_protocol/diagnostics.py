"""What linters and type checkers say, in one form. Their output is untrusted like everything from a project."""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from hypercode.mcp_protocol.reports import checked_size, parse_json, relative
from hypercode.mcp_protocol.schemas import Closed

MAX_MESSAGE = 1000


class Diagnostic(Closed):
    """One finding. ``severity`` is error, warning or note."""

    file: str
    line: int | None
    col: int | None
    severity: str
    code: str
    message: str


Parse = Callable[[str], list[Diagnostic]]


def parse_ruff(text: str) -> list[Diagnostic]:
    """``ruff check --output-format=json``."""
    return [
        _found(each.get("filename"), _in(each, "location"), "error", each.get("code"), each.get("message"))
        for each in _objects(parse_json(text))
    ]


def parse_eslint(text: str) -> list[Diagnostic]:
    """``eslint --format json``."""
    return [
        _found(
            file.get("filePath"),
            {"row": each.get("line"), "column": each.get("column")},
            "error" if each.get("severity") == 2 else "warning",
            each.get("ruleId"),
            each.get("message"),
        )
        for file in _objects(parse_json(text))
        for each in _objects(file.get("messages"))
    ]


def parse_pyright(text: str) -> list[Diagnostic]:
    """``pyright --outputjson``; its lines count from 0."""
    found = parse_json(text)
    said = cast(dict[str, Any], found).get("generalDiagnostics") if isinstance(found, dict) else None
    return [
        _found(
            each.get("file"),
            {key: _more(_in(_in(each, "range"), "start").get(name)) for key, name in _PYRIGHT_PLACE},
            str(each.get("severity")),
            each.get("rule"),
            each.get("message"),
        )
        for each in _objects(said)
    ]


_PYRIGHT_PLACE = (("row", "line"), ("column", "character"))

_FLAKE8 = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d{1,9}):(?P<col>\d{1,9}): (?P<code>\S{1,20}) (?P<message>.+)$"
)
_MYPY = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d{1,9}):(?:(?P<col>\d{1,9}):)? (?P<severity>error|warning|note): "
    r"(?P<message>.+?)(?:  \[(?P<code>[a-z0-9-]{1,80})\])?$"
)
_TSC = re.compile(
    r"^(?P<file>[^(\n]+)\((?P<line>\d{1,9}),(?P<col>\d{1,9})\): (?P<severity>error|warning) "
    r"(?P<code>TS\d{1,6}): (?P<message>.+)$"
)
_GO_VET = re.compile(
    r"^(?:vet: )?(?P<file>[^:\s][^:\n]*\.go):(?P<line>\d{1,9}):(?:(?P<col>\d{1,9}):)? (?P<message>.+)$"
)


def _lines(pattern: re.Pattern[str], code: str = "") -> Parse:
    def parse(text: str) -> list[Diagnostic]:
        return list(_matches(pattern, code, text))

    return parse


def _matches(pattern: re.Pattern[str], code: str, text: str) -> Iterator[Diagnostic]:
    for line in checked_size(text).splitlines():
        found = pattern.match(line[:4000])
        if found is not None:
            said = found.groupdict()
            place = {"row": _number(said.get("line")), "column": _number(said.get("col"))}
            severity = said.get("severity") or "error"
            yield _found(said["file"], place, severity, said.get("code") or code, said["message"])


parse_flake8 = _lines(_FLAKE8)
parse_mypy = _lines(_MYPY)
parse_tsc = _lines(_TSC)
parse_go_vet = _lines(_GO_VET, "vet")


def _found(file: object, place: dict[str, Any], severity: str, code: object, message: object) -> Diagnostic:
    known = {"error": "error", "warning": "warning"}
    return Diagnostic(
        file=relative(str(file or "")),
        line=_number(place.get("row")),
        col=_number(place.get("column")),
        severity=known.get(severity, "note"),
        code=str(code or "")[:80],
        message=str(message or "")[:MAX_MESSAGE],
    )


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    return value if type(value) is int and 0 <= value < 10**9 else None


def _more(value: object) -> int | None:
    number = _number(value)
    return None if number is None else number + 1


def _objects(value: object) -> list[dict[str, Any]]:
    items = cast(list[Any], value) if isinstance(value, list) else []
    return [cast(dict[str, Any], each) for each in items if isinstance(each, dict)]


def _in(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
