"""What templates may look at: the file, names in scope, donor expressions, and the evidence."""

from __future__ import annotations

import ast
import builtins
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from .edits import Change, Replacement
from .evidence import Evidence
from .source import FUNCTIONS, FunctionNode, SourceFile

Template = Callable[[ast.AST, "Context"], Iterator[Change]]
MAX_DONORS = 14
# Parents that bind tighter than a comparison or an arithmetic expression.
_TIGHT = (ast.Attribute, ast.Subscript, ast.UnaryOp, ast.Await, ast.Starred)
_LOOSE_SAFE = (ast.Compare,)


class Scope:
    """Names and donor expressions of one outermost function (or of the module's own code)."""

    def __init__(self, source: SourceFile, region: ast.AST) -> None:
        self.names: List[str] = []
        self.parameters: List[str] = []
        self.constants: List[str] = []
        self.conditions: List[ast.expr] = []
        self.returns: List[str] = []
        self.attributes: List[str] = []
        self.expressions: List[str] = []
        for node in ast.walk(region):
            self._visit(node, source)

    def _visit(self, node: ast.AST, source: SourceFile) -> None:
        if isinstance(node, ast.arg):
            _once(self.names, node.arg)
            if node.arg not in ("self", "cls"):
                _once(self.parameters, node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            _once(self.names, node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            _once(self.constants, source.segment(node))
        elif isinstance(node, ast.Attribute):
            _once(self.attributes, source.segment(node))
        elif isinstance(node, ast.Return) and node.value is not None:
            _once(self.returns, source.segment(node.value))
        self._visit_expression(node, source)

    def _visit_expression(self, node: ast.AST, source: SourceFile) -> None:
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            self.conditions.append(node.test)
        elif isinstance(node, ast.comprehension):
            self.conditions.extend(node.ifs)
        if isinstance(node, (ast.Call, ast.Subscript, ast.BinOp)):
            text = source.segment(node)
            if len(text) < 40 and "\n" not in text:
                _once(self.expressions, text)


class Context:
    """One file under repair with the evidence of the failing tests."""

    def __init__(self, source: SourceFile, evidence: Evidence) -> None:
        self.source = source
        self.evidence = evidence
        self._scopes: Dict[Optional[ast.AST], Scope] = {}
        self.module_names = [name for stmt in source.tree.body for name in _bound(stmt)]
        self.module_names = list(dict.fromkeys(self.module_names))
        self.methods: List[str] = []
        self.fields: List[str] = []
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute):
                called = isinstance(source.parents.get(node), ast.Call)
                _once(self.methods if called else self.fields, node.attr)

    def scope(self, node: ast.AST) -> Scope:
        """The scope of the outermost function round a node."""
        unit = self.source.unit_of(node)
        region: ast.AST = unit.node if unit else self.source.statement_of(node)
        if region not in self._scopes:
            self._scopes[region] = Scope(self.source, region)
        return self._scopes[region]

    def parent(self, node: ast.AST) -> Optional[ast.AST]:
        """The node's parent in the tree."""
        return self.source.parents.get(node)

    def text(self, node: ast.AST) -> str:
        """The node's text as written."""
        return self.source.segment(node)

    def operand(self, node: ast.expr) -> str:
        """The node's text, in parentheses when it could not stand beside an operator."""
        text = self.text(node)
        loose = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr, ast.Compare, ast.BinOp)
        return f"({text})" if isinstance(node, loose) or _plain_tuple(node, text) else text

    def swap(self, node: ast.AST, text: str, template: str, cost: float, why: str) -> Change:
        """Replace a node's text by an expression, in parentheses where its parent needs them."""
        return self.edit([(node, self._fit(node, text))], template, cost, why)

    def edit(self, pairs: Sequence[Tuple[ast.AST, str]], template: str, cost: float, why: str) -> Change:
        """Replace the text of several nodes as it stands."""
        replacements = [Replacement(*self.source.span(node), text) for node, text in pairs]
        first: Any = pairs[0][0]
        line = int(first.lineno)
        return Change(tuple(replacements), template, cost, why, line)

    def splice(self, start: int, end: int, text: str, template: str, cost: float, why: str) -> Change:
        """Replace the text between two offsets."""
        line = self.source.line_of(start)
        return Change((Replacement(start, end, text),), template, cost, why, line)

    def _fit(self, node: ast.AST, text: str) -> str:
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            return text
        parent = self.parent(node)
        is_function = isinstance(parent, ast.Call) and parent.func is node
        base = isinstance(parent, ast.Subscript) and parent.value is not node
        if isinstance(tree, (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)):
            tight = isinstance(parent, (ast.BinOp, ast.Compare, ast.BoolOp, *_TIGHT))
            tight = tight or (isinstance(parent, ast.IfExp) and isinstance(tree, ast.IfExp))
        elif isinstance(tree, (ast.Compare, ast.UnaryOp)):
            tight = isinstance(parent, (ast.BinOp, ast.Compare, *_TIGHT))
        elif isinstance(tree, ast.BinOp):
            tight = isinstance(parent, (ast.BinOp, *_TIGHT))
        else:
            return text
        return f"({text})" if is_function or (tight and not base) else text

    def enclosing_loop(self, node: ast.AST) -> Optional[ast.AST]:
        """The nearest loop inside the same function."""
        for parent in self.source.ancestors(node):
            if isinstance(parent, (ast.For, ast.AsyncFor, ast.While)):
                return parent
            if isinstance(parent, FUNCTIONS):
                return None
        return None

    def function(self, node: ast.AST) -> Optional[FunctionNode]:
        """The nearest function round a node."""
        return self.source.function_of(node)

    def callables(self) -> List[str]:
        """Functions and classes that the module defines or imports."""
        return self.module_names[:MAX_DONORS]


def is_builtin(name: str) -> bool:
    """True for `len`, `ValueError`, ..."""
    return hasattr(builtins, name)


def _plain_tuple(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Tuple) and not text.startswith("(")


def _once(names: List[str], name: str) -> None:
    if name not in names:
        names.append(name)


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield (alias.asname or alias.name).split(".")[0]
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
