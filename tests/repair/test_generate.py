from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hypercode.repair.evidence import Evidence
from hypercode.repair.generate import Generator
from hypercode.repair.source import SourceFile


def texts(module: str, line: int, evidence: Evidence | None = None) -> list[str]:
    generator = Generator(Path("/"), evidence or Evidence(), [])
    source = SourceFile("m.py", "/m.py", module)
    return [each.text for each in generator.of_file(source, {line: 1.0}, 1.0)]


def in_function(*lines: str, parameters: str = "a, b, items") -> str:
    return f"def f({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a < b", "return a <= b"),
        ("return a==b", "return a in b"),
        ("return a + b", "return a - b"),
        ("return a // b", "return a / b"),
        ("return a and b", "return a or b"),
        ("return not a", "return a"),
        ("return items[0]", "return items[-1]"),
        ("return items[:a]", "return items[:a + 1]"),
        ("return range(a)", "return range(1, a + 1)"),
        ("return a * b - 1", "return a * (b - 1)"),
        ("return min(items)", "return max(items)"),
        ("return f(a, b)", "return f(b, a)"),
        ("return a.lower()", "return a.upper()"),
        ("return items", "return sorted(items)"),
        ("return a", "return a.strip()"),
        ("return True", "return False"),
        ("return items.get(a)", "return items.get(a, 0)"),
        ("return items[a]", "return items.get(a, 0)"),
        ("return a - b", "return max(a - b, 0)"),
        ("return a or b", "return a if a is not None else b"),
        ("return [x for x in items]", "return [x for x in items if x]"),
        ("return a.end", "return b.end"),
        ("return a", "return b"),
        ("a == 1 or 2", "return a == 1 or 2"),
        ("return a == 1 or 2", "return a == 1 or a == 2"),
        ("return items[::1]", "return items[:]"),
        ("return sorted(items)", "return sorted(items, reverse=True)"),
    ],
)
def test_one_line_edits(before: str, after: str):
    assert in_function(after) in texts(in_function(before), 2)


@pytest.mark.parametrize(
    ("before", "line", "after"),
    [
        (("a += 1", "return a"), 2, ("a -= 1", "return a")),
        (("a = b", "return a"), 2, ("return a",)),
        (("for x in items:", "    a += x", "    return a"), 4,
         ("for x in items:", "    a += x", "return a")),
        (("return items[0]",), 2, ("if not items:", "    return None", "return items[0]")),
        (("for x in items:", "    if x:", "        return True", "    else:",
          "        return False"), 6,
         ("for x in items:", "    if x:", "        return True", "return False")),
        (("a = a + 1",), 2, ("a = a + 1", "return a")),
    ],
)  # fmt: skip
def test_edits_of_statements(before: tuple[str, ...], line: int, after: tuple[str, ...]):
    assert in_function(*after) in texts(in_function(*before), line)


def test_expected_values_are_tried():
    found = texts(in_function("return 5"), 2, Evidence(literals=["42"]))
    assert in_function("return 42") in found


def test_only_the_given_line_is_changed():
    module = in_function("a = a + 1", "b = b - 1", "return a < b")
    assert all("return a < b" in text for text in texts(module, 2) if "return a" in text[60:])


def test_nearly_every_candidate_is_valid_python():
    module = in_function(
        "total = 0",
        "for x in items:",
        "    if x > a and x != b:",
        "        total += x",
        "return total",
    )
    found = [text for line in range(2, 7) for text in texts(module, line)]
    valid = 0
    for text in found:
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        valid += 1
    assert len(found) > 300
    assert valid > 0.95 * len(found)
