"""Templates for values: constants, off-by-one expressions, subscripts and slices."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Tuple, Type

from .context import Context, Template
from .edits import Change

_EMPTY = ("[]", "{}", '""', "0", "()", "None", "set()", "False")


def number(node: ast.AST, context: Context) -> Iterator[Change]:
    """A number one too high or too low, with the wrong sign, or a power of ten off."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    value = node.value
    if not isinstance(value, (int, float)):
        return
    near: List[Tuple[object, float]] = [(value + 1, 1.2), (value - 1, 1.2)]
    near += [(0, 1.9), (1, 1.9), (2, 2.4), (-value, 2.1), (value + 2, 2.6), (value * 2, 2.6)]
    near += [(value * 10, 2.4), (value * 100, 2.6)]
    if value:
        shrunk = value / 10 if isinstance(value, float) or value % 10 else value // 10
        near += [(shrunk, 2.4), (float(value) if isinstance(value, int) else int(value), 2.8)]
    seen = {repr(value)}
    for other, cost in near:
        if repr(other) not in seen:
            seen.add(repr(other))
            why = f"use {other!r} instead of {context.text(node)}"
            yield context.swap(node, repr(other), "number", cost, why)


def other_constant(node: ast.AST, context: Context) -> Iterator[Change]:
    """A constant that the function uses elsewhere or that a failing test mentions."""
    if not isinstance(node, ast.Constant) or node.value is Ellipsis:
        return
    if isinstance(context.parent(node), (ast.Expr, ast.JoinedStr)):
        return
    kind = (int, float) if isinstance(node.value, (int, float)) else type(node.value)
    mine = context.text(node)
    sources = [(text, 2.1) for text in context.scope(node).constants]
    sources += [(text, 2.3) for text in context.evidence.literals]
    for text, cost in sources:
        if text != mine and _is_kind(text, kind):
            yield context.swap(node, text, "other-constant", cost, f"use {text} instead of {mine}")


def _is_kind(text: str, kind: object) -> bool:
    try:
        return isinstance(ast.literal_eval(text), kind)  # type: ignore[arg-type]
    except (ValueError, SyntaxError):
        return False


def flag(node: ast.AST, context: Context) -> Iterator[Change]:
    """True and False swapped; None in place of an empty value, and the other way round."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        text = str(not node.value)
        yield context.swap(node, text, "flag", 1.1, f"use {text} instead of {node.value}")
    elif isinstance(node, ast.Constant) and node.value is None:
        for text in (*_EMPTY, "True"):
            if text != "None":
                yield context.swap(node, text, "empty-value", 2.0, f"use {text} instead of None")


def empty_value(node: ast.AST, context: Context) -> Iterator[Change]:
    """An empty list, dict, string or zero that should be another empty value."""
    text = context.text(node)
    empty = isinstance(node, (ast.List, ast.Dict, ast.Tuple)) or text in ("''", '""', "0")
    if not empty or text not in (*_EMPTY, "''"):
        return
    for other in _EMPTY:
        if other != text:
            yield context.swap(node, other, "empty-value", 2.3, f"use {other} instead of {text}")


def string(node: ast.AST, context: Context) -> Iterator[Change]:
    """A string with other spacing or case, or with its last or first character gone."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return
    parent = context.parent(node)
    value = node.value
    if isinstance(parent, (ast.Expr, ast.JoinedStr)) or len(value) > 60 or "\n" in value:
        return
    others = [value.strip(), value + " ", " " + value, value.lower(), value.upper(), "", " "]
    others += [value.title(), value[:-1], value[1:], value + ".", value + "\n", value + ","]
    for position, other in enumerate(dict.fromkeys(others)):
        if other != value:
            why = f"use {other!r} instead of {value!r}"
            yield context.swap(node, repr(other), "string", 2.2 + position / 20, why)


def off_by_one(node: ast.AST, context: Context) -> Iterator[Change]:
    """One more or one less: in `range`, subscripts, slices, comparisons, returns, arguments."""
    cost = _off_by_one_cost(node, context)
    if cost is None or not isinstance(node, ast.expr) or isinstance(node, ast.Constant):
        return
    text = context.text(node) if isinstance(node, ast.BinOp) else context.operand(node)
    if isinstance(node, ast.BinOp) and _is_one_more(node):
        return  # dropping the operand and changing the number cover it
    for sign in ("+", "-"):
        why = f"{'add' if sign == '+' else 'subtract'} one"
        yield context.swap(node, f"{text} {sign} 1", "off-by-one", cost, why)


def _is_one_more(node: ast.BinOp) -> bool:
    one = isinstance(node.right, ast.Constant) and node.right.value == 1
    return one and isinstance(node.op, (ast.Add, ast.Sub))


def _off_by_one_cost(node: ast.AST, context: Context) -> Optional[float]:
    parent = context.parent(node)
    plain = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.BinOp, ast.Subscript))
    if not plain:
        return None
    if isinstance(parent, ast.Slice):
        return 1.3
    if isinstance(parent, ast.Subscript) and parent.slice is node:
        return 1.6
    if isinstance(parent, ast.Call) and node in parent.args:
        called = context.text(parent.func)
        return 1.3 if called == "range" else 2.4
    if isinstance(parent, ast.Compare):
        return 1.7
    if isinstance(parent, (ast.Return, ast.Assign, ast.AugAssign)):
        return 1.9
    if isinstance(parent, ast.BinOp) and not isinstance(node, ast.BinOp):
        return 2.3
    return None


def subscript(node: ast.AST, context: Context) -> Iterator[Change]:
    """First and last element swapped, an element where a slice belongs, a subscript too much."""
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Slice):
        return
    base, index = context.text(node.value), context.text(node.slice)
    for other, cost in (
        ("0", 1.6),
        ("-1", 1.4),
        ("1", 1.9),
        (f":{index}", 2.3),
        (f"{index}:", 2.3),
    ):
        if other != index:
            text = f"{base}[{other}]"
            yield context.swap(node, text, "subscript", cost, f"use `{text}`")
    if isinstance(node.ctx, ast.Load):
        yield context.swap(node, base, "subscript-dropped", 2.2, f"use `{base}` itself")
        yield context.swap(node, index, "subscript-dropped", 2.2, f"use `{index}` itself")
        for default in ("", ", 0", ", []", ", ''"):
            text = f"{base}.get({index}{default})"
            why = f"look the key up with `{text}`"
            yield context.swap(node, text, "missing-key", 2.0 if default else 2.3, why)


def slice_bounds(node: ast.AST, context: Context) -> Iterator[Change]:
    """A bound of a slice dropped or added."""
    if not isinstance(node, ast.Slice):
        return
    low = context.text(node.lower) if node.lower else ""
    high = context.text(node.upper) if node.upper else ""
    step = f":{context.text(node.step)}" if node.step else ""
    options = [("", high, 1.8), (low, "", 1.8), (high, low, 2.4)]
    options += [(low, "-1", 1.7), ("1", high, 1.7)]
    if not low and high:
        options.append((high, "", 1.6))
    for first, last, cost in options:
        if (first, last) != (low, high):
            text = f"{first}:{last}{step}"
            yield context.edit([(node, text)], "slice-bounds", cost, f"take `[{text}]`")
    for other in ("::-1",) if not step else ("",):
        text = f"{low}:{high}" if not other else f"{low}:{high}{other[1:]}"
        yield context.edit([(node, text)], "slice-step", 2.2, f"take `[{text}]`")


def grown(node: ast.AST, context: Context) -> Iterator[Change]:
    """A value that needs one more small operation: `[1:]`, `[::-1]`, `// 2`, `+ "."`, `* 2`."""
    parent = context.parent(node)
    if not isinstance(parent, (ast.Return, ast.Assign, ast.For, ast.Call, ast.Yield, ast.keyword)):
        return
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Constant, ast.Starred, ast.Lambda)):
        return
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    text = context.operand(node)
    base = 2.4 if isinstance(parent, (ast.Return, ast.For)) else 2.7
    forms = ("{}[1:]", "{}[:-1]", "{}[::-1]", "{}[0]", "{}[-1]", "{}[:]", "-{}", "not {}")
    forms += ("{} / 2", "{} // 2", "{} * 2", "{} / 100", "{} * 100", "{} % 10")
    for form in forms:
        grown_text = form.format(text)
        yield context.swap(node, grown_text, "grown", base, f"use `{grown_text}`")


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.Constant,), number),
    ((ast.Constant,), other_constant),
    ((ast.Constant,), flag),
    ((ast.Constant, ast.List, ast.Dict, ast.Tuple), empty_value),
    ((ast.Constant,), string),
    ((ast.expr,), off_by_one),
    ((ast.Subscript,), subscript),
    ((ast.Slice,), slice_bounds),
    ((ast.expr,), grown),
]
