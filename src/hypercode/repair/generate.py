"""All candidate edits of the suspicious lines, the most promising first."""

from __future__ import annotations

import ast
import fnmatch
import heapq
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
GROUP = 25
SLACK = 1.7
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
        self._sources: Dict[str, Optional[SourceFile]] = {}
        self._contexts: Dict[SourceFile, Context] = {}
        self._by_line: Dict[SourceFile, Dict[int, List[ast.AST]]] = {}
        self._given: Set[ast.AST] = set()

    def candidates(self, scores: Dict[Place, float]) -> Iterator[Candidate]:
        """Candidates for the lines with the highest scores, cheapest first.

        Lines are taken some at a time, so that a large file does not cost seconds before the
        first try; the order across such groups is right to within `SLACK`.
        """
        wanted = [item for item in scores.items() if self._wanted(item[0][0])]
        best = sorted(wanted, key=lambda item: (-item[1], item[0]))[:MAX_LINES]
        waiting: List[Tuple[float, int, Candidate]] = []
        top = best[0][1] if best else 1.0
        count = 0
        for start in range(0, len(best), GROUP):
            for candidate in self._of_places(best[start : start + GROUP], top):
                count += 1
                heapq.heappush(waiting, (candidate.priority, count, candidate))
            following = best[start + GROUP : start + GROUP + 1]
            bound = SLACK + DISTANCE_COST * (1 - following[0][1] / top) if following else 1e9
            while waiting and waiting[0][0] <= bound:
                yield heapq.heappop(waiting)[2]

    def _of_places(self, places: List[Tuple[Place, float]], top: float) -> Iterator[Candidate]:
        by_file: Dict[str, Dict[int, float]] = {}
        for (path, line), score in places:
            by_file.setdefault(path, {})[line] = score
        for path, lines in by_file.items():
            source = self._load(path)
            if source is not None:
                yield from self.of_file(source, lines, top)

    def _wanted(self, path: str) -> bool:
        return not self._globs or any(fnmatch.fnmatch(path, glob) for glob in self._globs)

    def _load(self, path: str) -> Optional[SourceFile]:
        if path not in self._sources:
            try:
                self._sources[path] = SourceFile.load(self._root, path)
            except (OSError, SyntaxError, UnicodeDecodeError, RecursionError):
                self._sources[path] = None
        return self._sources[path]

    def _context(self, source: SourceFile) -> Context:
        if source not in self._contexts:
            self._contexts[source] = Context(source, self._evidence)
        return self._contexts[source]

    def of_file(self, source: SourceFile, lines: Dict[int, float], top: float) -> Iterator[Candidate]:
        """Candidates for the given lines of one file; `top` is the best score of all lines."""
        context = self._context(source)
        seen: Set[Tuple[object, ...]] = set()
        for node, score in self._nodes(source, lines):
            for change in self._changes(node, context):
                if change.replacements not in seen:
                    seen.add(change.replacements)
                    priority = change.cost + DISTANCE_COST * (1 - score / top)
                    yield Candidate(source, change, _unit(source, node, change), priority)

    def _nodes(self, source: SourceFile, lines: Dict[int, float]) -> Iterator[Tuple[ast.AST, float]]:
        """Nodes on the given lines that were not given before, with their scores."""
        if source not in self._by_line:
            self._by_line[source] = nodes_by_line(source)
        by_line = self._by_line[source]
        for line in sorted(lines, key=lambda each: (-lines[each], each)):
            for node in by_line.pop(line, ()):
                if node not in self._given:
                    self._given.add(node)
                    yield node, lines[line]

    def _changes(self, node: ast.AST, context: Context) -> Iterator[Change]:
        kind = type(node)
        if kind not in self._handlers:
            self._handlers[kind] = [template for kinds, template in ALL_TEMPLATES if issubclass(kind, kinds)]
        for template in self._handlers[kind]:
            yield from template(node, context)


def nodes_by_line(source: SourceFile) -> Dict[int, List[ast.AST]]:
    """Nodes by each line that makes them suspicious: those of their statement's header.

    Not every line of a statement over several lines is reported, so all of them count for each.
    """
    found: Dict[int, List[ast.AST]] = {}
    for node in ast.walk(source.tree):
        first, last = _lines_of(node, source)
        for line in range(first, last + 1):
            found.setdefault(line, []).append(node)
    return found


def _lines_of(node: ast.AST, source: SourceFile) -> Tuple[int, int]:
    if isinstance(node, FUNCTIONS):
        return node.body[0].lineno, node.end_lineno or node.lineno
    if isinstance(node, ast.stmt):
        return header_lines(node)
    if isinstance(node, ast.ExceptHandler):
        return source.parents[node].lineno, node.lineno  # type: ignore[attr-defined]
    if isinstance(node, (ast.expr, ast.comprehension, ast.keyword, ast.Slice)):
        statement = source.statement_of(node)
        # Decorators, defaults and annotations run when the module is imported.
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            return header_lines(statement)
    return 1, 0


def _unit(source: SourceFile, node: ast.AST, change: Change) -> Optional[Unit]:
    unit = source.unit_of(node)
    if unit is None:
        return None
    start = source.line_span(unit.first_line)[0]
    end = source.span(unit.node)[1]
    low, high = change.span
    line_end = source.line_span(unit.node.end_lineno or unit.node.lineno)[1]
    return unit if start <= low and high <= max(end, line_end) else None
