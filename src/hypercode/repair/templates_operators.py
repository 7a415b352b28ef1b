"""Templates for operators: comparisons, arithmetic, boolean logic."""

from __future__ import annotations

import ast
import re
from typing import Dict, Iterator, List, Tuple, Type

from .context import Context, Template
from .edits import Change, Replacement

Table = Dict[str, List[Tuple[str, float]]]

COMPARISONS: Table = {
    "<": [("<=", 1.0), (">", 1.5), (">=", 1.7), ("!=", 2.2), ("==", 2.6)],
    "<=": [("<", 1.0), (">=", 1.5), (">", 1.7), ("==", 2.4), ("!=", 2.8)],
    ">": [(">=", 1.0), ("<", 1.5), ("<=", 1.7), ("!=", 2.2), ("==", 2.6)],
    ">=": [(">", 1.0), ("<=", 1.5), ("<", 1.7), ("==", 2.4), ("!=", 2.8)],
    "==": [("!=", 1.3), (">=", 1.7), ("<=", 1.7), ("in", 1.9), (">", 2.2), ("<", 2.2), ("is", 2.8)],
    "!=": [("==", 1.3), ("<", 1.9), (">", 1.9), ("not in", 2.0), ("is not", 2.8)],
    "is": [("is not", 1.3), ("==", 1.3)],
    "is not": [("is", 1.3), ("!=", 1.3)],
    "in": [("not in", 1.3), ("==", 1.7)],
    "not in": [("in", 1.3), ("!=", 1.9)],
}
ARITHMETIC: Table = {
    "+": [("-", 1.1), ("*", 1.8)],
    "-": [("+", 1.1), ("*", 2.4), ("/", 2.6), ("%", 2.6)],
    "*": [("/", 1.6), ("+", 1.6), ("**", 1.7), ("//", 1.9), ("-", 2.4)],
    "/": [("//", 1.1), ("*", 1.5), ("%", 1.8), ("-", 2.6)],
    "//": [("/", 1.1), ("%", 1.5), ("*", 1.8)],
    "%": [("//", 1.4), ("/", 1.7), ("*", 2.2)],
    "**": [("*", 1.4), ("//", 2.6)],
    "&": [("|", 1.2), ("^", 1.5)],
    "|": [("&", 1.2), ("^", 1.5)],
    "^": [("&", 1.3), ("|", 1.3)],
    "<<": [(">>", 1.2)],
    ">>": [("<<", 1.2)],
    "@": [],
}
ASSIGNMENTS: Table = {
    **{f"{sign}=": [(f"{o}=", c) for o, c in others] for sign, others in ARITHMETIC.items()},
}
_NOT_COMMUTATIVE = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.Add)


def _operator(context: Context, start: int, end: int, table: Table) -> Tuple[int, int, str]:
    """Find the operator between two operands, past brackets and comments."""
    text = re.sub(r"#[^\n]*", lambda match: " " * len(match[0]), context.source.text[start:end])
    signs = sorted(table, key=len, reverse=True)
    pattern = "|".join(
        re.sub(r" ", r"\\s+", rf"\b{sign}\b" if sign[0].isalpha() else re.escape(sign)) for sign in signs
    )
    match = re.search(pattern, text)
    if match is None:
        return start, start, ""
    return start + match.start(), start + match.end(), " ".join(match[0].split())


def comparison_operator(node: ast.AST, context: Context) -> Iterator[Change]:
    """`<` and `<=`, `==` and `!=`, `in` and `not in`, `is` and `==`, ..."""
    if not isinstance(node, ast.Compare):
        return
    operands = [node.left, *node.comparators]
    for index in range(len(node.ops)):
        start = context.source.span(operands[index])[1]
        end = context.source.span(operands[index + 1])[0]
        low, high, sign = _operator(context, start, end, COMPARISONS)
        for other, cost in COMPARISONS.get(sign, []):
            why = f"compare with `{other}` instead of `{sign}`"
            spaced = context.source.text[high : high + 1].isspace() or not other[0].isalpha()
            text = other if spaced else f" {other} "
            yield context.splice(low, high, text, "comparison-operator", cost, why)


def comparison_shape(node: ast.AST, context: Context) -> Iterator[Change]:
    """`a in b` turned round, a chain shortened, `== None` written as `is None`."""
    if not isinstance(node, ast.Compare):
        return
    left, right = node.left, node.comparators[-1]
    if len(node.ops) == 1:
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            pairs: List[Tuple[ast.AST, str]] = [
                (left, context.operand(right)),
                (right, context.operand(left)),
            ]
            yield context.edit(pairs, "membership-turned", 2.2, "look for the other one of the two")
        if isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            for side in (left, right):
                for form in ("{}.lower()", "{}.strip()", "len({})", "abs({})", "type({})"):
                    text = form.format(context.operand(side))
                    why = f"compare `{text}`"
                    yield context.swap(side, text, "comparison-normalised", 3.0, why)
        return
    first = context.source.span(node.comparators[0])
    start, end = context.source.span(node)
    shorter = context.source.text[start : first[1]]
    yield context.splice(start, end, shorter, "chain-shortened", 2.3, "drop the last comparison")
    longer = context.source.text[context.source.span(node.comparators[-2])[0] : end]
    yield context.splice(start, end, longer, "chain-shortened", 2.3, "drop the first comparison")


def arithmetic_operator(node: ast.AST, context: Context) -> Iterator[Change]:
    """`+` and `-`, `/` and `//`, `*` and `**`, ... also in `+=`."""
    if isinstance(node, ast.BinOp):
        start, end = context.source.span(node.left)[1], context.source.span(node.right)[0]
        low, high, sign = _operator(context, start, end, ARITHMETIC)
        for other, cost in ARITHMETIC.get(sign, []):
            why = f"use `{other}` instead of `{sign}`"
            yield context.splice(low, high, other, "arithmetic-operator", cost, why)
    elif isinstance(node, ast.AugAssign):
        start, end = context.source.span(node.target)[1], context.source.span(node.value)[0]
        low, high, sign = _operator(context, start, end, ASSIGNMENTS)
        for other, cost in [*ASSIGNMENTS.get(sign, []), ("=", 1.5)]:
            why = f"use `{other}` instead of `{sign}`"
            yield context.splice(low, high, other, "assignment-operator", cost, why)


def assignment_operator(node: ast.AST, context: Context) -> Iterator[Change]:
    """`x = y` that should add up: `x += y`."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return
    start, end = context.source.span(node.targets[0])[1], context.source.span(node.value)[0]
    gap = context.source.text[start:end]
    if gap.strip() != "=":
        return
    low = start + gap.index("=")
    for sign, cost in (("+=", 1.6), ("-=", 2.4), ("*=", 2.6)):
        why = f"change the old value with `{sign}` instead of replacing it"
        yield context.splice(low, low + 1, sign, "assignment-operator", cost, why)


def arithmetic_shape(node: ast.AST, context: Context) -> Iterator[Change]:
    """Operands swapped or dropped, and the grouping of two operators changed."""
    if not isinstance(node, ast.BinOp):
        return
    left, right = context.text(node.left), context.text(node.right)
    if isinstance(node.op, _NOT_COMMUTATIVE):
        pairs = [(node.left, context.operand(node.right)), (node.right, context.operand(node.left))]
        yield context.edit(pairs, "operands-swapped", 1.6, "swap the two operands")
    yield context.swap(node, left, "operand-dropped", 1.8, f"use only `{left}`")
    yield context.swap(node, right, "operand-dropped", 2.2, f"use only `{right}`")
    yield from _regrouped(node, context)


def _regrouped(node: ast.BinOp, context: Context) -> Iterator[Change]:
    source = context.source
    end = source.span(node)[1]
    if isinstance(node.right, ast.BinOp) and source.span(node.right)[1] == end:
        start, middle = source.span(node)[0], source.span(node.right.left)[1]
        text = f"({source.text[start:middle]}){source.text[middle:end]}"
        why = "put the first two operands in brackets"
        yield context.splice(start, end, text, "regrouped", 1.6, why)
    inner = node.left
    if isinstance(inner, ast.BinOp) and source.span(inner)[0] == source.span(node)[0]:
        start = source.span(inner.right)[0]
        text = f"({source.text[start:end]})"
        yield context.splice(start, end, text, "regrouped", 1.6, "put the last two operands in brackets")


def unary_operator(node: ast.AST, context: Context) -> Iterator[Change]:
    """`not x`, `-x` and `~x` without the operator."""
    if isinstance(node, ast.UnaryOp):
        text = context.text(node.operand)
        yield context.swap(node, text, "operator-dropped", 1.4, f"use `{text}` as it is")


def negation(node: ast.AST, context: Context) -> Iterator[Change]:
    """A condition turned into its opposite."""
    tests: List[ast.expr] = []
    if isinstance(node, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    for test in tests:
        if not isinstance(test, ast.UnaryOp):
            inner = context.text(test)
            plain = isinstance(test, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
            text = f"not {inner}" if plain else f"not ({inner})"
            yield context.swap(test, text, "condition-negated", 1.4, "turn the condition round")


def boolean_operator(node: ast.AST, context: Context) -> Iterator[Change]:
    """`and` and `or` swapped, one part dropped, `x == a or b` spelled out."""
    if not isinstance(node, ast.BoolOp):
        return
    sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    signs: List[Replacement] = []
    for index in range(len(node.values) - 1):
        start = context.source.span(node.values[index])[1]
        end = context.source.span(node.values[index + 1])[0]
        low, high, _ = _operator(context, start, end, {sign: []})
        signs.append(Replacement(low, high, other))
    why = f"join with `{other}` instead of `{sign}`"
    yield Change(tuple(signs), "boolean-operator", 1.2, why, node.lineno)
    if len(signs) > 1:
        for single in signs:
            yield Change((single,), "boolean-operator", 1.5, why, node.lineno)
    yield from _parts_dropped(node, sign, context)
    yield from _spelled_out(node, context)


def _parts_dropped(node: ast.BoolOp, sign: str, context: Context) -> Iterator[Change]:
    for dropped in node.values:
        kept = [context.text(value) for value in node.values if value is not dropped]
        why = f"drop the condition `{context.text(dropped)}`"
        yield context.swap(node, f" {sign} ".join(kept), "condition-dropped", 1.7, why)
        if not isinstance(dropped, ast.UnaryOp):
            text = f"not {context.operand(dropped)}"
            why = f"turn the condition `{context.text(dropped)}` round"
            yield context.swap(dropped, text, "condition-negated", 1.7, why)


def _spelled_out(node: ast.BoolOp, context: Context) -> Iterator[Change]:
    first = node.values[0]
    if not isinstance(first, ast.Compare) or len(first.ops) != 1:
        return
    sign = "==" if isinstance(first.ops[0], ast.Eq) else "!="
    for value in node.values[1:]:
        if not isinstance(value, ast.Compare):
            text = f"{context.text(first.left)} {sign} {context.text(value)}"
            why = f"compare with `{context.text(value)}` too"
            yield context.swap(value, text, "comparison-spelled-out", 1.2, why)


def falsy_default(node: ast.AST, context: Context) -> Iterator[Change]:
    """`x or y` that should only replace None, and a truth test that should only look for None."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        left, right = (context.text(value) for value in node.values)
        text = f"{left} if {left} is not None else {right}"
        yield context.swap(node, text, "falsy-default", 1.7, f"replace only None by `{right}`")
    tests = [node.test] if isinstance(node, (ast.If, ast.While, ast.IfExp)) else []
    if isinstance(node, ast.BoolOp):
        tests = list(node.values)
    for test in tests:
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
            text = f"{context.text(test)} is not None"
            yield context.swap(test, text, "truth-test", 1.7, f"test `{text}`")
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            text = f"{context.operand(test.operand)} is None"
            yield context.swap(test, text, "truth-test", 1.7, f"test `{text}`")


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.Compare,), comparison_operator),
    ((ast.Compare,), comparison_shape),
    ((ast.BinOp, ast.AugAssign), arithmetic_operator),
    ((ast.Assign,), assignment_operator),
    ((ast.BinOp,), arithmetic_shape),
    ((ast.UnaryOp,), unary_operator),
    ((ast.If, ast.While, ast.IfExp, ast.Assert, ast.comprehension), negation),
    ((ast.BoolOp,), boolean_operator),
    ((ast.BoolOp, ast.If, ast.While, ast.IfExp), falsy_default),
]
