"""One source file: its text, its syntax tree, and where in the text each node is."""

from __future__ import annotations
import __future__ as future

import ast
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Span = Tuple[int, int]

_NEWLINE = re.compile(r"\r\n|\r|\n")


def read_text(path: Path) -> str:
    """The file as text, in the encoding it declares, with its own line ends kept."""
    with tokenize.open(str(path)) as opened:
        encoding = opened.encoding
    text = path.read_bytes().decode(encoding)
    return text[1:] if text.startswith("\ufeff") else text


@dataclass(frozen=True)
class Unit:
    """The smallest piece that can be swapped in a running process: an outermost function.

    `key` is how the code object is found again: first line (of the first decorator) and name.
    """

    node: FunctionNode
    first_line: int
    name: str
    owners: Tuple[ast.AST, ...]


class SourceFile:
    """A parsed file. `path` is relative to the root, with forward slashes."""

    def __init__(self, path: str, absolute: str, text: str) -> None:
        self.path = path
        self.absolute = absolute
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.tree = ast.parse(text)
        self._line_starts = [0] + [match.end() for match in _NEWLINE.finditer(text)]
        self._ascii = text.isascii()
        self.parents: Dict[ast.AST, ast.AST] = {}
        self._units: Dict[ast.AST, Optional[Unit]] = {}
        for parent in ast.walk(self.tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent

    @classmethod
    def load(cls, root: Path, path: str) -> SourceFile:
        """Read and parse `root/path`. Raises SyntaxError, OSError or UnicodeDecodeError."""
        absolute = root / path
        return cls(path, str(absolute), read_text(absolute))

    def offset(self, line: int, column: int) -> int:
        """Character offset of an `ast` position (`line` from 1, `column` in UTF-8 bytes)."""
        start = self._line_starts[line - 1]
        if self._ascii:
            return start + column
        piece = self.text[start : self.line_span(line)[1]]
        return start + len(piece.encode("utf-8")[:column].decode("utf-8", "ignore"))

    def line_span(self, line: int) -> Span:
        """Offsets of a line with its line end."""
        starts = self._line_starts
        return starts[line - 1], starts[line] if line < len(starts) else len(self.text)

    def span(self, node: ast.AST) -> Span:
        """Offsets of a node's own text (without the parentheses round it)."""
        place: Any = node  # every node that has text has a place, but not `ast.AST`
        line, column = int(place.lineno), int(place.col_offset)
        end_line, end_column = int(place.end_lineno), int(place.end_col_offset)
        return self.offset(line, column), self.offset(end_line, end_column)

    def segment(self, node: ast.AST) -> str:
        """The node's text as written."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, offset: int) -> int:
        """Line number (from 1) of a character offset."""
        low, high = 0, len(self._line_starts)
        while high - low > 1:
            middle = (low + high) // 2
            if self._line_starts[middle] <= offset:
                low = middle
            else:
                high = middle
        return low + 1

    def indent_of(self, line: int) -> str:
        """The white space a line begins with."""
        start, end = self.line_span(line)
        piece = self.text[start:end]
        return piece[: len(piece) - len(piece.lstrip(" \t"))]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Parents of a node, nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """The nearest statement that holds the node, or the node itself."""
        current: Optional[ast.AST] = node
        while current is not None and not isinstance(current, ast.stmt):
            current = self.parents.get(current)
        if current is None:
            raise ValueError("the node is outside every statement")
        return current

    def function_of(self, node: ast.AST) -> Optional[FunctionNode]:
        """The nearest function round the node (the node itself when it is one)."""
        if isinstance(node, FUNCTIONS):
            return node
        for parent in self.ancestors(node):
            if isinstance(parent, FUNCTIONS):
                return parent
        return None

    def unit_of(self, node: ast.AST) -> Optional[Unit]:
        """The outermost function round the node; None for code of a module or class body."""
        if node not in self._units:
            self._units[node] = self._find_unit(node)
        return self._units[node]

    def _find_unit(self, node: ast.AST) -> Optional[Unit]:
        chain = [node, *self.ancestors(node)]
        functions = [entry for entry in chain if isinstance(entry, FUNCTIONS)]
        if not functions:
            return None
        function = functions[-1]
        owners = [entry for entry in chain[chain.index(function) + 1 :] if hasattr(entry, "lineno")]
        return Unit(function, first_line(function), function.name, tuple(reversed(owners)))


def first_line(function: FunctionNode) -> int:
    """What `co_firstlineno` says for the function: the line of its first decorator, or of `def`."""
    lines = [decorator.lineno for decorator in function.decorator_list]
    return min([function.lineno, *lines])


def future_flags(tree: ast.Module) -> int:
    """Compiler flags of the file's `from __future__ import ...` lines."""
    flags = 0
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                flags |= getattr(future, alias.name).compiler_flag
    return flags


def header_lines(statement: ast.stmt) -> Tuple[int, int]:
    """First and last line of a statement without the blocks inside it."""
    end = statement.end_lineno or statement.lineno
    blocks: List[ast.stmt] = list(getattr(statement, "body", []))
    if blocks and not isinstance(statement, ast.Expr):
        end = max(statement.lineno, min(end, blocks[0].lineno - 1))
    return statement.lineno, end
