"""Templates for calls: arguments, wrappers, loops over the wrong thing, keywords."""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, Optional, Tuple, Type

from .context import Context, Template
from .edits import Change

WRAPPERS = ("list", "str", "int", "len", "abs", "sorted", "set", "tuple", "float", "sum", "bool")
SUFFIXES = (
    *(".strip()", ".lower()", ".copy()", ".items()", ".upper()", ".split()", ".values()"),
    *(".keys()", ".rstrip()", ".title()", ".casefold()", ".days"),
)
_DEFAULTS = tuple((text, 1.5) for text in ("0", "None", "[]", "''", "{}", "False", "1"))
_SORTING = (
    *(("reverse=True", 1.4), ("key=len", 1.8), ("key=str.lower", 1.8), ("key=str", 2.2)),
    *(("key=lambda item: item[1]", 1.8), ("key=lambda item: item[0]", 1.9)),
)
_EXTREME = (("default=0", 1.6), ("default=None", 1.8), ("key=len", 1.8), ("key=abs", 1.9))
# What a call of this name often lacks, and what adding it costs.
EXTRA_ARGUMENTS: Dict[str, Tuple[Tuple[str, float], ...]] = {
    **{name: _DEFAULTS for name in ("get", "pop", "getattr", "next", "setdefault")},
    **{name: _SORTING for name in ("sorted", "sort")},
    **{name: _EXTREME for name in ("min", "max")},
    **{name: (("1", 1.6), ("start=1", 2.0)) for name in ("enumerate", "sum")},
    "round": (("2", 1.6), ("1", 2.0), ("3", 2.2)),
    **{n: (("' '", 1.8), ("1", 1.9), ("','", 2.0), ("'\\n'", 2.2)) for n in ("split", "rsplit")},
    "dumps": (("sort_keys=True", 2.0), ("indent=2", 2.2)),
}


def arguments(node: ast.AST, context: Context) -> Iterator[Change]:
    """Two arguments swapped, one left out, one given twice."""
    if not isinstance(node, ast.Call):
        return
    values = node.args
    for index in range(len(values) - 1):
        pairs: List[Tuple[ast.AST, str]] = [
            (values[index], context.text(values[index + 1])),
            (values[index + 1], context.text(values[index])),
        ]
        why = f"swap the arguments `{pairs[1][1]}` and `{pairs[0][1]}`"
        yield context.edit(pairs, "arguments-swapped", 1.4, why)
    yield from _dropped(node, context)


def _dropped(node: ast.Call, context: Context) -> Iterator[Change]:
    parts: List[ast.AST] = [*node.args, *node.keywords]
    for dropped in parts[-3:]:
        kept = [_argument(part, context) for part in parts if part is not dropped]
        text = f"{context.text(node.func)}({', '.join(kept)})"
        why = f"leave out the argument `{_argument(dropped, context)}`"
        yield context.swap(node, text, "argument-dropped", 2.1, why)


def _argument(node: ast.AST, context: Context) -> str:
    if isinstance(node, ast.keyword):
        value = context.text(node.value)
        return f"{node.arg}={value}" if node.arg else f"**{value}"
    return context.text(node)


def _extended(node: ast.Call, extra: str, context: Context) -> str:
    parts = [_argument(part, context) for part in [*node.args, *node.keywords]]
    return f"{context.text(node.func)}({', '.join([*parts, extra])})"


def extra_argument(node: ast.AST, context: Context) -> Iterator[Change]:
    """An argument that is missing: a default for `get`, a start for `enumerate`, `reverse=True`."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else context.text(node.func)
    for text, cost in EXTRA_ARGUMENTS.get(name, ()):
        why = f"give `{name}` the argument `{text}`"
        yield context.swap(node, _extended(node, text, context), "argument-added", cost, why)
    if name not in WRAPPERS:
        for parameter in context.scope(node).parameters[:4]:
            text = _extended(node, parameter, context)
            why = f"pass `{parameter}` on"
            yield context.swap(node, text, "argument-added", 2.5, why)


def keyword(node: ast.AST, context: Context) -> Iterator[Change]:
    """`key=` turned into its opposite and `reverse=` dropped or added are in other templates."""
    if not isinstance(node, ast.keyword) or node.arg != "key":
        return
    value = node.value
    if isinstance(value, ast.Lambda):
        body = context.operand(value.body)
        for form in ("-{}", "len({})", "{}.lower()", "str({})"):
            text = form.format(body)
            yield context.swap(value.body, text, "sort-key", 2.0, f"sort by `{text}`")


def range_arguments(node: ast.AST, context: Context) -> Iterator[Change]:
    """`range(n)` that should start at one, go backwards, or run over a length."""
    if not isinstance(node, ast.Call) or context.text(node.func) not in ("range", "enumerate"):
        return
    values = [context.text(value) for value in node.args]
    name = context.text(node.func)
    options: List[Tuple[str, float]] = []
    if name == "enumerate":
        options = [(f"range(len({values[0]}))", 2.4)] if values else []
    elif len(values) == 1:
        end = context.operand(node.args[0])
        options = [(f"range(1, {values[0]})", 1.6), (f"range(1, {end} + 1)", 1.6)]
        options += [(f"range(len({values[0]}))", 1.6), (f"range({end} - 1, -1, -1)", 2.0)]
        options += [(f"range(0, {values[0]}, 2)", 2.4)]
    elif len(values) == 2:
        first, last = values
        options = [(f"range({last})", 1.9), (f"range({first}, {last}, -1)", 1.9)]
        options += [(f"range({first} + 1, {context.operand(node.args[1])} + 1)", 2.2)]
        options += [(f"range({first}, {last}, 2)", 2.4)]
    for text, cost in options:
        yield context.swap(node, text, "range", cost, f"go over `{text}`")


def loop_source(node: ast.AST, context: Context) -> Iterator[Change]:
    """A loop that should go over a copy, over positions, or in another order."""
    if not isinstance(node, (ast.For, ast.comprehension)):
        return
    text = context.text(node.iter)
    options = [(f"list({text})", 1.6), (f"range(len({text}))", 1.6), (f"sorted({text})", 2.0)]
    options += [(f"reversed({text})", 2.0), (f"enumerate({text})", 1.6), (f"set({text})", 2.4)]
    options += [(f"{context.operand(node.iter)}.items()", 1.9)]
    options += [(f"reversed(list({text}))", 2.2), (f"list(enumerate({text}))", 2.6)]
    if isinstance(node.iter, ast.Call) and len(node.iter.args) == 1:
        inner = context.text(node.iter.args[0])
        options.append((inner, 1.8))
        if isinstance(node.iter.args[0], ast.Call) and node.iter.args[0].args:
            options.append((context.text(node.iter.args[0].args[0]), 2.0))
    for other, cost in options:
        yield context.edit([(node.iter, other)], "loop-source", cost, f"go over `{other}`")


def call_form(node: ast.AST, context: Context) -> Iterator[Change]:
    """`x.pop` without its brackets, `x.append[y]` with the wrong ones, a call too much."""
    parent = context.parent(node)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        called = isinstance(parent, ast.Call) and parent.func is node
        if not called and not isinstance(parent, ast.Attribute):
            text = context.text(node)
            yield context.swap(node, f"{text}()", "call-missing", 1.6, f"call `{text}()`")
            for suffix in ("[:]", "[::-1]"):
                other = context.text(node.value) + suffix
                yield context.swap(node, other, "copy", 2.2, f"use `{other}`")
    elif isinstance(node, ast.Subscript) and isinstance(node.value, (ast.Attribute, ast.Name)):
        if not isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
            cost = 1.0 if "TypeError" in context.evidence.errors else 2.4
            text = f"{context.text(node.value)}({context.text(node.slice)})"
            yield context.swap(node, text, "call-brackets", cost, f"call `{text}`")
    elif isinstance(node, ast.Call):
        yield from _unwrapped(node, context)


def _unwrapped(node: ast.Call, context: Context) -> Iterator[Change]:
    if len(node.args) >= 1:
        for value in node.args[:2]:
            text = context.text(value)
            yield context.swap(node, text, "call-dropped", 2.0, f"use `{text}` itself")
    if isinstance(node.func, ast.Attribute):
        text = context.text(node.func.value)
        yield context.swap(node, text, "call-dropped", 2.0, f"use `{text}` itself")
        if not node.args:
            member = context.text(node.func)
            yield context.swap(node, member, "call-dropped", 2.2, f"use `{member}` uncalled")


def wrapped(node: ast.AST, context: Context) -> Iterator[Change]:
    """A value that lacks one call: `str(...)`, `sorted(...)`, `.strip()`, `.lower()`, ..."""
    cost = _wrap_cost(node, context)
    if cost is None or not isinstance(node, ast.expr):
        return
    text = context.text(node)
    for name in WRAPPERS:
        if not text.startswith(f"{name}("):
            wrapped_text = f"{name}({text})"
            yield context.swap(node, wrapped_text, "call-added", cost, f"use `{wrapped_text}`")
    for suffix in SUFFIXES:
        if not text.endswith(suffix):
            longer = context.operand(node) + suffix
            yield context.swap(node, longer, "call-added", cost + 0.2, f"use `{longer}`")
    if isinstance(node, (ast.Name, ast.Attribute)):
        forms = (f"[{text}]", f"({text},)", f"list(dict.fromkeys({text}))")
        for form in forms:
            yield context.swap(node, form, "collected", cost, f"use `{form}`")
    for name in context.callables():
        own = context.function(node)
        if name[:1].islower() and (own is None or own.name != name):
            outer = f"{name}({text})"
            yield context.swap(node, outer, "call-added", cost + 0.5, f"use `{outer}`")


def _wrap_cost(node: ast.AST, context: Context) -> Optional[float]:
    if isinstance(node, (ast.Starred, ast.Constant, ast.Lambda, ast.Compare, ast.BoolOp, ast.Slice)):
        return None
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return None
    parent = context.parent(node)
    if isinstance(parent, (ast.Return, ast.For, ast.Yield)):
        return 2.1
    if isinstance(parent, (ast.Assign, ast.AugAssign, ast.FormattedValue)):
        return 2.3
    if isinstance(parent, ast.Call) and parent.func is not node:
        return 2.4
    if isinstance(parent, (ast.BinOp, ast.Compare, ast.comprehension, ast.Subscript, ast.keyword)):
        return 2.5
    if isinstance(parent, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp, ast.Tuple)):
        return 2.5
    return None


def unique_in_order(node: ast.AST, context: Context) -> Iterator[Change]:
    """`set(x)` where the order has to stay, and other results of the wrong type."""
    if not isinstance(node, ast.Call) or context.text(node.func) != "set" or not node.args:
        return
    inner = context.text(node.args[0])
    for text, cost in ((f"dict.fromkeys({inner})", 1.6), (f"list(dict.fromkeys({inner}))", 1.6)):
        yield context.swap(node, text, "unique-in-order", cost, f"use `{text}`, which keeps order")


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.Call,), arguments),
    ((ast.Call,), extra_argument),
    ((ast.keyword,), keyword),
    ((ast.Call,), range_arguments),
    ((ast.For, ast.comprehension), loop_source),
    ((ast.Attribute, ast.Subscript, ast.Call), call_form),
    ((ast.expr,), wrapped),
    ((ast.Call,), unique_in_order),
]
