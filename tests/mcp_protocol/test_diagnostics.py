"""Findings as ruff 0.17, flake8 7, eslint 9, mypy 1.x, pyright 1.1, tsc 5 and go vet 1.27 really wrote them
(tests/fixtures/reports, paths replaced by /workspace), and as nobody should."""

from pathlib import Path

import pytest

from hypercode.domain.errors import InvalidArgument, TooLarge
from hypercode.mcp_protocol.diagnostics import (
    Diagnostic,
    Parse,
    parse_eslint,
    parse_flake8,
    parse_go_vet,
    parse_mypy,
    parse_pyright,
    parse_ruff,
    parse_tsc,
)
from hypercode.mcp_protocol.reports import MAX_REPORT
from hypercode.tools.coverage import lines_pct

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reports"


def found(parse: Parse, name: str) -> list[tuple[str, int | None, int | None, str, str]]:
    return [
        (each.file, each.line, each.col, each.severity, each.code)
        for each in parse((FIXTURES / name).read_text())
    ]


def test_real_findings() -> None:
    assert ("c.py", 1, 8, "error", "F401") in found(parse_ruff, "ruff.json")
    assert found(parse_flake8, "flake8.txt")[-1] == ("c.py", 5, 7, "error", "F821")
    assert found(parse_eslint, "eslint.json") == [
        ("a.js", 1, 7, "warning", "no-unused-vars"),
        ("a.js", 2, 1, "error", "no-undef"),
    ]
    assert found(parse_mypy, "mypy.txt") == [
        ("c.py", 3, 12, "error", "return-value"),
        ("c.py", 4, 3, "error", "arg-type"),
        ("c.py", 5, 7, "error", "name-defined"),
    ]
    assert found(parse_pyright, "pyright.json")[0] == ("c.py", 3, 12, "error", "reportReturnType")
    assert found(parse_tsc, "tsc.txt") == [
        ("b.ts", 1, 7, "error", "TS2322"),
        ("b.ts", 3, 3, "error", "TS2345"),
    ]
    assert found(parse_go_vet, "go-vet.txt") == [
        ("sub/sub.go", 3, 28, "error", "vet"),
        ("vetted.go", 5, 26, "error", "vet"),
    ]


HOSTILE = [
    "",
    "\0",
    "[" * 100_000,
    "[1, null, {}]",
    '[{"location": 7, "filename": {"a": []}, "message": ["x"], "code": 5}]',
    '[{"messages": {"a": 1}, "filePath": null}]',
    '{"generalDiagnostics": [{"range": {"start": {"line": -1, "character": 1e999}}, "severity": "root"}]}',
    "a:" + "9" * 5000 + ":1: error: x",
    "a.py:1:1: " + "E" * 100_000,
    "x(1,1): error TS1: " + "y" * 100_000,
    "(" * 10_000,
    ":" * 10_000,
]


@pytest.mark.parametrize(
    "parse", [parse_ruff, parse_flake8, parse_eslint, parse_mypy, parse_pyright, parse_tsc, parse_go_vet]
)
def test_hostile_output_is_refused_or_small(parse: Parse) -> None:
    for text in HOSTILE:
        for each in read_or_refused(parse, text):
            assert len(each.model_dump_json()) < 6000
            assert each.severity in ("error", "warning", "note")
    with pytest.raises(TooLarge):
        parse("x" * (MAX_REPORT + 1))


def read_or_refused(parse: Parse, text: str) -> list[Diagnostic]:
    """Any other exception than a refusal goes through and fails the test."""
    try:
        return parse(text)
    except InvalidArgument:
        return []


def test_coverage_of_three_kinds() -> None:
    assert lines_pct((FIXTURES / "coverage-py.json").read_text()) == 95.45
    assert lines_pct((FIXTURES / "jest-coverage-summary.json").read_text()) == 100.0
    assert lines_pct((FIXTURES / "go-cover.txt").read_text()) == 100.0
    for text in (
        "",
        "{",
        "[" * 100_000,
        "[]",
        '{"totals": {"percent_covered": 101}}',
        '{"totals": {"percent_covered": "9"}}',
    ):
        assert lines_pct(text) is None
    for profile in ("mode: set", "mode: set\na b", "mode: set\nf 0 1", "mode: set\nf x 1"):
        assert lines_pct(profile) is None
