"""All candidate edits of the suspicious lines, the most promising first."""

from __future__ import annotations

import ast
import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple, Type

from . import (
    templates_calls,
    templates_conditions,
    templates_names,
    templates_operators,
    templates_statements,
    templates_values,
)
from .context import Context, Template
from .edits import Change, apply
from .evidence import Evidence
from .localise import Place
from .source import FUNCTIONS, SourceFile, Unit, header_lines

ALL_TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    *templates_operators.TEMPLATES,
    *templates_values.TEMPLATES,
    *templates_names.TEMPLATES,
    *templates_calls.TEMPLATES,
    *templates_conditions.TEMPLATES,
    *templates_statements.TEMPLATES,
]
MAX_LINES = 250
# How much a line that is not suspicious at all adds to the cost of an edit.
DISTANCE_COST = 2.0


@dataclass(frozen=True)
class Candidate:
    """A change of one file; `unit` is the function it lies in, None when outside every one.

    A second change of a file that another candidate has changed already has that one as `base`.
    """

    source: SourceFile
    change: Change
    unit: Optional[Unit]
    priority: float
    base: Optional[Candidate] = None

    @property
    def original(self) -> SourceFile:
        """The file before every change."""
        return self.base.original if self.base else self.source

    @property
    def changes(self) -> List[Change]:
        """The changes in the order they are made."""
        return [*(self.base.changes if self.base else []), self.change]

    @property
    def text(self) -> str:
        """The whole file after the change."""
        return apply(self.source.text, self.change.replacements)


class Generator:
    """Reads suspicious files once and proposes candidates for them."""

    def __init__(self, root: Path, evidence: Evidence, globs: List[str]) -> None:
        self._root = root
        self._evidence = evidence
        self._globs = globs
        self._handlers: Dict[Type[ast.AST], List[Template]] = {}

    def candidates(self, scores: Dict[Place, float]) -> List[Candidate]:
        """Candidates for the lines with the highest scores, cheapest first."""
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:MAX_LINES]
        by_file: Dict[str, Dict[int, float]] = {}
        for (path, line), score in best:
            if self._wanted(path):
                by_file.setdefault(path, {})[line] = score
        found: List[Candidate] = []
        for path, lines in by_file.items():
            source = self._load(path)
            if source is not None:
                found.extend(self.of_file(source, lines))
        found.sort(key=lambda each: each.priority)
        return found

    def _wanted(self, path: str) -> bool:
        return not self._globs or any(fnmatch.fnmatch(path, glob) for glob in self._globs)

    def _load(self, path: str) -> Optional[SourceFile]:
        try:
            return SourceFile.load(self._root, path)
        except (OSError, SyntaxError, UnicodeDecodeError, RecursionError):
            return None

    def of_file(self, source: SourceFile, lines: Dict[int, float]) -> Iterator[Candidate]:
        """Candidates for the given lines of one file; each text is proposed once."""
        context = Context(source, self._evidence)
        seen: Set[Tuple[object, ...]] = set()
        top = max(lines.values())
        for node in ast.walk(source.tree):
            score = self._score(node, source, lines)
            if score <= 0:
                continue
            for change in self._changes(node, context):
                if change.replacements not in seen:
                    seen.add(change.replacements)
                    priority = change.cost + DISTANCE_COST * (1 - score / top)
                    yield Candidate(source, change, _unit(source, node, change), priority)

    def _changes(self, node: ast.AST, context: Context) -> Iterator[Change]:
        kind = type(node)
        if kind not in self._handlers:
            self._handlers[kind] = [
                template for kinds, template in ALL_TEMPLATES if issubclass(kind, kinds)
            ]
        for template in self._handlers[kind]:
            yield from template(node, context)

    @staticmethod
    def _score(node: ast.AST, source: SourceFile, lines: Dict[int, float]) -> float:
        """The best score of the lines a node takes, without the blocks inside it."""
        if isinstance(node, FUNCTIONS):
            first, last = node.body[0].lineno, node.end_lineno or node.lineno
        elif isinstance(node, ast.stmt):
            first, last = header_lines(node)
        elif isinstance(node, (ast.expr, ast.comprehension, ast.keyword, ast.ExceptHandler, ast.Slice)):
            return _expression_score(node, source, lines)
        else:
            return 0.0
        return max((lines.get(line, 0.0) for line in range(first, last + 1)), default=0.0)


def _expression_score(node: ast.AST, source: SourceFile, lines: Dict[int, float]) -> float:
    """Multi-line statements do not report each of their lines, so the statement's count too."""
    if isinstance(node, ast.ExceptHandler):
        parent = source.parents[node]
        first, last = parent.lineno, node.lineno  # type: ignore[attr-defined]
    else:
        statement = source.statement_of(node)
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            return 0.0  # decorators, defaults and annotations run when the module is imported
        first, last = header_lines(statement)
    return max((lines.get(line, 0.0) for line in range(first, last + 1)), default=0.0)


def _unit(source: SourceFile, node: ast.AST, change: Change) -> Optional[Unit]:
    unit = source.unit_of(node)
    if unit is None:
        return None
    start = source.line_span(unit.first_line)[0]
    end = source.span(unit.node)[1]
    low, high = change.span
    line_end = source.line_span(unit.node.end_lineno or unit.node.lineno)[1]
    return unit if start <= low and high <= max(end, line_end) else None
