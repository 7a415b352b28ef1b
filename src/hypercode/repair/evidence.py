"""What failing tests tell: where the error was raised, what it says, which values they expect."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

MAX_LITERALS = 24
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_UNBOUND = re.compile(r"local variable '?(\w+)'? (?:where|referenced)")
_RAISES = {"raises", "assertRaises", "assertRaisesRegex"}


@dataclass
class Evidence:
    """Hints gathered over all failing tests.

    `literals` are source texts of values the failing tests mention, the most promising first;
    `crashes` maps (path, line) to how often an error went through that line; `undefined` are
    names that a NameError or UnboundLocalError named; `raises` the exceptions tests wait for.
    """

    literals: List[str] = field(default_factory=list[str])
    crashes: Dict[Tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])
    undefined: Set[str] = field(default_factory=set[str])
    errors: Set[str] = field(default_factory=set[str])
    raises: List[str] = field(default_factory=list[str])

    def add_literal(self, text: str) -> None:
        """Remember a literal once, up to the limit."""
        if text not in self.literals and len(self.literals) < MAX_LITERALS and len(text) < 60:
            self.literals.append(text)


def gather(root: Path, ids: List[str], details: List[Dict[str, Any]]) -> Evidence:
    """Read messages, tracebacks and the sources of failing tests (`ids` are pytest ids)."""
    evidence = Evidence()
    for detail in details:
        _read_detail(detail, evidence)
    for test_id in ids:
        for function in _test_functions(root, test_id):
            _read_test(function, evidence)
    return evidence


def _read_detail(detail: Dict[str, Any], evidence: Evidence) -> None:
    message = str(detail["message"])
    evidence.errors.add(str(detail["type"]))
    for pattern in (_UNDEFINED, _UNBOUND):
        evidence.undefined.update(pattern.findall(message))
    if "DID NOT RAISE" in message:
        evidence.errors.add("DID NOT RAISE")
    frames: List[List[Any]] = detail["frames"]
    for depth, (path, line) in enumerate(reversed(frames)):
        place = (path, int(line))
        evidence.crashes[place] = max(evidence.crashes.get(place, 0.0), 1.0 / (1 + depth))
    for literal in _compared(message):
        evidence.add_literal(literal)


def _compared(message: str) -> Iterator[str]:
    """Literals on both sides of the comparison a failed assertion shows (`assert 3 == 4`)."""
    first = message.split("\n", 1)[0]
    first = re.sub(r"^(AssertionError|assert|Failed)\b:?\s*(assert\s+)?", "", first)
    first = re.sub(r"^(.*?) != (.*?)( : .*)?$", r"\1 == \2", first)
    try:
        tree = ast.parse(first.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if isinstance(tree.body, ast.Compare):
        for side in [*tree.body.comparators, tree.body.left]:
            yield from _literals(side)


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value is not Ellipsis:
            yield repr(node.value)
        elif isinstance(node, (ast.List, ast.Tuple, ast.Dict)) and not list(ast.iter_child_nodes(node))[1:]:
            yield ast.unparse(node)


def _test_functions(root: Path, test_id: str) -> Iterator[ast.AST]:
    path, _, rest = test_id.partition("::")
    name = rest.split("[", 1)[0].split("::")[-1]
    try:
        tree = ast.parse((root / path).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            yield node


def _read_test(function: ast.AST, evidence: Evidence) -> None:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if called in _RAISES and node.args:
                name = ast.unparse(node.args[0])
                if name not in evidence.raises:
                    evidence.raises.append(name)
    for literal in _literals(function):
        evidence.add_literal(literal)
