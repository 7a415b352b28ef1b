"""The table of attacks has every row, and the tests that it names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reference/security.md").read_text()
ROWS = [
    f"{group}{n}"
    for group, last in zip("FGSDAP", (12, 4, 5, 4, 10, 6), strict=True)
    for n in range(1, last + 1)
]


def attacks() -> dict[str, str]:
    """The cell of tests by row."""
    table = TEXT.split("## Attacks")[1].split("## Judges")[0]
    return dict(re.findall(r"(?m)^\| ([A-Z]\d+) \|.*\| ([^|]*) \|$", table))


def test_every_attack_has_a_row_with_tests_or_says_that_it_has_none() -> None:
    rows = attacks()
    assert list(rows) == ROWS
    for row, cell in rows.items():
        assert cell == "No test yet" or "::test_" in cell, row


def test_the_tests_that_are_named_are_there() -> None:
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", TEXT)
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"(?m)^(?:async )?def {test}\(", (ROOT / "tests" / file).read_text())
    ]
    assert missing == []


def test_the_versions_are_those_that_are_pinned() -> None:
    pinned = (ROOT / "tests/conformance/package.json").read_text()
    for name in ("conformance", "inspector", "server-filesystem"):
        version = re.search(rf'"@modelcontextprotocol/{name}": "([^"]+)"', pinned)
        assert version is not None
        assert f"`@modelcontextprotocol/{name}` {version[1]}" in TEXT
    for file, name in (
        ("mcpscan", "mcpscan-cli"),
        ("mcp-fuzzer", "mcp-fuzzer"),
        ("mcp-server-git", "mcp-server-git"),
    ):
        lines = (ROOT / f"tests/conformance/{file}.txt").read_text()
        version = re.search(rf"(?m)^{name}==(\S+)$", lines)
        assert version is not None
        assert re.search(rf"`?{name}`? {re.escape(version[1])}", TEXT), name
