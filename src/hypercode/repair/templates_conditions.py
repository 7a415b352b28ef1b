"""Templates for conditions: extended or fixed tests, and guards put before a statement."""

from __future__ import annotations

import ast
from typing import Iterator, List, Tuple, Type

from .context import MAX_DONORS, Context, Template
from .edits import Change
from .source import FunctionNode, header_lines

RESULTS = ("None", "[]", "0", "False", "True", '""', "{}", "()", "-1", "1")
_MAX_GUARDS = 6


def extended(node: ast.AST, context: Context) -> Iterator[Change]:
    """A condition that lacks a part: `and`/`or` with another condition of the function."""
    tests: List[ast.expr] = []
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = list(node.ifs)
    for test in tests:
        text = context.operand(test) if isinstance(test, ast.BoolOp) else context.text(test)
        for donor, cost in _conditions(node, context):
            for sign in ("and", "or"):
                longer = f"{text} {sign} {donor}"
                why = f"test `{donor}` too, joined with `{sign}`"
                yield context.swap(test, longer, "condition-extended", cost, why)
                if sign == "and":
                    first = f"{donor} and {text}"
                    why = f"test `{donor}` first"
                    yield context.swap(test, first, "condition-extended", cost + 0.1, why)


def _conditions(node: ast.AST, context: Context) -> Iterator[Tuple[str, float]]:
    scope = context.scope(node)
    for condition in scope.conditions[:MAX_DONORS]:
        yield context.operand(condition), 2.3
        yield f"not {context.operand(condition)}", 2.5
    for name in scope.names[:MAX_DONORS]:
        if name not in ("self", "cls"):
            yield name, 2.5
            yield f"not {name}", 2.5
            yield f"{name} is not None", 2.6
            yield f"{name} is None", 2.8
    for text in scope.attributes[:_MAX_GUARDS]:
        yield text, 2.7
        yield f"not {text}", 2.7


def comprehension_filter(node: ast.AST, context: Context) -> Iterator[Change]:
    """A comprehension that lacks its `if`."""
    if not isinstance(node, ast.comprehension) or node.ifs:
        return
    end = context.source.span(node.iter)[1]
    names = [entry.id for entry in ast.walk(node.target) if isinstance(entry, ast.Name)]
    for name in names:
        for test in (name, f"{name} is not None", f"{name}.strip()", f"not {name}", f"{name} > 0"):
            why = f"keep only items with `{test}`"
            yield context.splice(end, end, f" if {test}", "filter-added", 2.3, why)


def replaced(node: ast.AST, context: Context) -> Iterator[Change]:
    """A condition that is always or never true, or that should be another of the function's."""
    if not isinstance(node, (ast.If, ast.While, ast.IfExp)):
        return
    mine = context.text(node.test)
    for text in ("True", "False"):
        why = f"take the condition `{mine}` as {text}"
        yield context.edit([(node.test, text)], "condition-fixed", 2.5, why)
    for condition in context.scope(node).conditions[:MAX_DONORS]:
        text = context.text(condition)
        if text != mine:
            why = f"test `{text}` instead of `{mine}`"
            yield context.edit([(node.test, text)], "condition-replaced", 2.4, why)


def conditional_value(node: ast.AST, context: Context) -> Iterator[Change]:
    """A returned or stored value that needs an empty case: `x / y if y else 0`."""
    parent = context.parent(node)
    if not isinstance(parent, (ast.Return, ast.Assign)) or not isinstance(node, ast.expr):
        return
    if isinstance(node, (ast.Constant, ast.IfExp, ast.Name)):
        return
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return
    text = context.text(node)
    used = [e.id for e in ast.walk(node) if isinstance(e, ast.Name)]
    for name in [name for name in context.scope(node).names if name in used][:3]:
        for result in ("0", "None", "[]", '""', "0.0"):
            longer = f"{text} if {name} else {result}"
            why = f"give {result} when `{name}` is empty"
            yield context.swap(node, longer, "empty-case", 2.3, why)


def guard(node: ast.AST, context: Context) -> Iterator[Change]:
    """A statement that needs a guard before it: leave early when a value is empty or missing."""
    if not isinstance(node, ast.stmt) or not starts_line(node, context):
        return
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return
    function = context.function(node)
    if function is None or _is_docstring(node, context):
        return
    first = node is _first_statement(function)
    base = 2.0 if first else 2.7
    actions = list(_actions(node, context, first))
    for test, extra in _guard_tests(node, context, first):
        for action, price in actions:
            indent = context.source.indent_of(node.lineno)
            start = context.source.line_span(node.lineno)[0]
            newline = context.source.newline
            text = f"{indent}if {test}:{newline}{indent}    {action}{newline}"
            why = f"`{action}` first when `{test}`"
            yield context.splice(start, start, text, "guard", base + extra + price, why)


def _first_statement(function: FunctionNode) -> ast.stmt:
    body = function.body
    plain = body[1:] if len(body) > 1 and docstring(body[0]) else body
    return plain[0]


def docstring(statement: ast.stmt) -> bool:
    """True for a statement that is only a string."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_docstring(node: ast.stmt, context: Context) -> bool:
    parent = context.parent(node)
    body: List[ast.stmt] = getattr(parent, "body", [])
    return bool(body) and body[0] is node and docstring(node)


def starts_line(node: ast.stmt, context: Context) -> bool:
    """True when nothing stands before the statement on its line, `el` of `elif` included."""
    start = context.source.span(node)[0]
    line_start = context.source.line_span(node.lineno)[0]
    before = context.source.text[line_start:start]
    return not before.strip() and not is_elif(node, context)


def is_elif(node: ast.stmt, context: Context) -> bool:
    """True for the `if` that an `elif` is in the syntax tree."""
    start = context.source.span(node)[0]
    return isinstance(node, ast.If) and context.source.text.startswith("elif", start)


def _guard_tests(node: ast.stmt, context: Context, first: bool) -> Iterator[Tuple[str, float]]:
    scope = context.scope(node)
    _, last = header_lines(node)
    used = {entry.id for entry in ast.walk(node) if isinstance(entry, ast.Name) and entry.lineno <= last}
    names = scope.parameters if first else [name for name in scope.names if name in used]
    for name in names[:_MAX_GUARDS]:
        if name in ("self", "cls"):
            continue
        yield f"not {name}", 0.0
        yield f"{name} is None", 0.2
        if "DID NOT RAISE" in context.evidence.errors:
            for test in (f"{name} < 0", f"{name} <= 0", f"len({name}) == 0"):
                yield test, 0.1
    for attribute in scope.attributes[:3]:
        yield f"not {attribute}", 0.4
    if not first:
        for condition in scope.conditions[:4]:
            yield context.text(condition), 0.5


def _actions(node: ast.stmt, context: Context, first: bool) -> Iterator[Tuple[str, float]]:
    if "DID NOT RAISE" in context.evidence.errors:
        for name in context.evidence.raises[:2]:
            yield f'raise {name}("invalid value")', -0.8
    scope = context.scope(node)
    results = list(dict.fromkeys([*scope.returns[:4], *scope.parameters[:2], *RESULTS]))
    literals = [text for text in context.evidence.literals[:6] if text not in results]
    for position, text in enumerate([*results, *literals]):
        yield f"return {text}", position / 20
    if context.enclosing_loop(node) is not None:
        yield "continue", 0.0
        yield "break", 0.1


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.If, ast.While, ast.IfExp, ast.comprehension), extended),
    ((ast.comprehension,), comprehension_filter),
    ((ast.If, ast.While, ast.IfExp), replaced),
    ((ast.expr,), conditional_value),
    ((ast.stmt,), guard),
]
