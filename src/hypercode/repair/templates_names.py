"""Templates for names: the wrong variable, attribute, function, method or exception."""

from __future__ import annotations

import ast
import functools
from difflib import SequenceMatcher
from typing import Dict, Iterator, List, Tuple, Type

from .context import MAX_DONORS, Context, Template, is_builtin
from .edits import Change

# Words that are easily taken for each other; each group is swapped within itself.
FUNCTION_GROUPS = (
    ("min", "max"),
    ("any", "all"),
    ("sorted", "reversed", "list"),
    ("list", "tuple", "set", "frozenset", "sorted"),
    ("int", "float", "round", "str", "bool"),
    ("floor", "ceil", "trunc"),
    ("sum", "len", "max", "min"),
    ("str", "repr", "ascii"),
    ("hasattr", "getattr"),
    ("isinstance", "issubclass"),
    ("defaultdict", "dict", "OrderedDict"),
    ("ord", "chr"),
    ("print", "str"),
    ("map", "filter"),
    ("abs", "int"),
    ("bisect_left", "bisect_right", "bisect"),
    ("combinations", "permutations", "product", "combinations_with_replacement"),
    ("datetime", "date"),
)
METHOD_GROUPS = (
    ("append", "extend", "insert"),
    ("add", "update", "append", "discard"),
    ("remove", "discard", "pop", "clear"),
    ("lower", "upper", "title", "capitalize", "casefold", "swapcase"),
    ("startswith", "endswith"),
    ("strip", "lstrip", "rstrip"),
    ("find", "rfind", "index", "rindex", "count"),
    ("split", "rsplit", "splitlines", "partition", "rpartition"),
    ("keys", "values", "items"),
    ("pop", "popleft", "popitem", "get"),
    ("append", "appendleft"),
    ("get", "setdefault", "pop"),
    ("ljust", "rjust", "center", "zfill"),
    ("isdigit", "isalpha", "isalnum", "isnumeric", "isdecimal", "isspace"),
    ("isupper", "islower", "istitle"),
    ("intersection", "union", "difference", "symmetric_difference"),
    ("issubset", "issuperset", "isdisjoint"),
    ("removeprefix", "removesuffix", "lstrip", "rstrip"),
    ("match", "search", "fullmatch", "findall"),
    ("heappush", "heappop", "heappushpop", "heapreplace"),
    ("most_common", "elements"),
    ("copy", "deepcopy"),
    ("timestamp", "isoformat"),
    ("days", "seconds", "microseconds", "total_seconds"),
    ("group", "groups"),
    ("read", "readline", "readlines"),
)
EXCEPTIONS = ("ValueError", "KeyError", "IndexError", "TypeError", "AttributeError", "LookupError")


def _partners(groups: Tuple[Tuple[str, ...], ...]) -> Dict[str, List[str]]:
    table: Dict[str, List[str]] = {}
    for group in groups:
        for word in group:
            others = table.setdefault(word, [])
            others += [other for other in group if other != word and other not in others]
    return table


FUNCTIONS_OF = _partners(FUNCTION_GROUPS)
METHODS_OF = _partners(METHOD_GROUPS)


@functools.lru_cache(maxsize=4096)
def _close(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def variable(node: ast.AST, context: Context) -> Iterator[Change]:
    """A variable that should be another one of the same function."""
    if not isinstance(node, ast.Name):
        return
    undefined = node.id in context.evidence.undefined
    function = context.parent(node)
    called = isinstance(function, ast.Call) and function.func is node
    if called and not undefined:
        return
    base = 0.5 if undefined else (1.6 if isinstance(node.ctx, ast.Load) else 2.4)
    names = [name for name in context.scope(node).names if name != node.id]
    for name in sorted(names, key=lambda each: -_close(each, node.id))[:MAX_DONORS]:
        cost = base + 0.5 * (1 - _close(name, node.id))
        why = f"use `{name}` instead of `{node.id}`"
        yield context.edit([(node, name)], "wrong-variable", cost, why)
    if undefined:
        for name in context.module_names:
            why = f"use `{name}` instead of `{node.id}`"
            yield context.edit([(node, name)], "wrong-variable", 1.0 - _close(name, node.id), why)


def everywhere(node: ast.AST, context: Context) -> Iterator[Change]:
    """A parameter or variable under a wrong name, renamed at every place of the function."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    scope = context.scope(node)
    entries = [entry for entry in ast.walk(node) if isinstance(entry, ast.Name)]
    for wrong in sorted({entry.id for entry in entries}):
        undefined = wrong in context.evidence.undefined
        if not undefined and (wrong not in scope.names or len(scope.names) > 8):
            continue
        uses = [entry for entry in entries if entry.id == wrong and isinstance(entry.ctx, ast.Load)]
        for name in scope.names:
            if name != wrong and len(uses) > 1:
                cost = 0.6 if undefined else 2.4
                pairs: List[Tuple[ast.AST, str]] = [(use, name) for use in uses]
                why = f"use `{name}` instead of `{wrong}` everywhere"
                yield context.edit(pairs, "renamed-everywhere", cost, why)
    yield from _parameters(node, context)


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Iterator[Change]:
    start = context.source.span(node.args.args[0])[0] if node.args.args else 0
    for argument in node.args.args:
        for name in sorted(context.evidence.undefined):
            low = context.source.span(argument)[0]
            if low >= start:
                why = f"name the parameter `{name}` instead of `{argument.arg}`"
                end = low + len(argument.arg)
                yield context.splice(low, end, name, "parameter-renamed", 0.6, why)


def known_words(node: ast.AST, context: Context) -> Iterator[Change]:
    """Functions and methods that are easily taken for each other: `min`/`max`, `any`/`all`, ..."""
    if isinstance(node, ast.Name):
        for other in FUNCTIONS_OF.get(node.id, []):
            if is_builtin(other) or other in context.module_names:
                why = f"use `{other}` instead of `{node.id}`"
                yield context.edit([(node, other)], "other-function", 1.4, why)
    elif isinstance(node, ast.Attribute):
        for other in [*METHODS_OF.get(node.attr, []), *FUNCTIONS_OF.get(node.attr, [])]:
            yield _attribute(node, other, "other-method", 1.4, context)


def _attribute(node: ast.Attribute, name: str, template: str, cost: float, context: Context) -> Change:
    end = context.source.span(node)[1]
    why = f"use `.{name}` instead of `.{node.attr}`"
    return context.splice(end - len(node.attr), end, name, template, cost, why)


def attribute(node: ast.AST, context: Context) -> Iterator[Change]:
    """An attribute or method that should be another one which the file uses."""
    if not isinstance(node, ast.Attribute):
        return
    parent = context.parent(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    donors = context.methods if called else context.fields
    ranked = sorted(donors, key=lambda each: -_close(each, node.attr))
    broken = "AttributeError" in context.evidence.errors
    for name in ranked[:MAX_DONORS]:
        if name != node.attr:
            cost = (1.2 if broken else 1.9) + 0.6 * (1 - _close(name, node.attr))
            yield _attribute(node, name, "wrong-attribute", cost, context)


def other_callable(node: ast.AST, context: Context) -> Iterator[Change]:
    """A function of the module called in place of another."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    mine = node.func.id
    names = sorted(context.module_names, key=lambda each: -_close(each, mine))
    for name in names[:MAX_DONORS]:
        if name != mine:
            cost = (0.8 if mine in context.evidence.undefined else 2.0) + 1 - _close(name, mine)
            why = f"call `{name}` instead of `{mine}`"
            yield context.edit([(node.func, name)], "wrong-function", cost, why)


def donor_attribute(node: ast.AST, context: Context) -> Iterator[Change]:
    """A name where an attribute of the same function belongs (`x` for `self.x`), and back."""
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return
    parent = context.parent(node)
    if isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node):
        return
    scope = context.scope(node)
    if isinstance(node, ast.Name):
        for text in scope.attributes[:MAX_DONORS]:
            cost = 1.7 if text.endswith(f".{node.id}") else 2.5
            yield context.swap(node, text, "donor-attribute", cost, f"use `{text}`")
    elif isinstance(node, ast.Attribute):
        for name in scope.names[:MAX_DONORS]:
            cost = 1.7 if name == node.attr else 2.5
            yield context.swap(node, name, "donor-attribute", cost, f"use `{name}`")
        for text in scope.attributes[:MAX_DONORS]:
            if text != context.text(node):
                yield context.swap(node, text, "donor-attribute", 2.1, f"use `{text}`")


def other_owner(node: ast.AST, context: Context) -> Iterator[Change]:
    """The same attribute of another variable: `other.end` for `self.end`."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return
    for name in context.scope(node).names[:MAX_DONORS]:
        if name != node.value.id:
            why = f"use `{name}.{node.attr}` instead of `{node.value.id}.{node.attr}`"
            yield context.edit([(node.value, name)], "other-owner", 1.5, why)


def clamped(node: ast.AST, context: Context) -> Iterator[Change]:
    """A value that must not go under or over another one: `max(x, 0)`, `min(x, limit)`."""
    parent = context.parent(node)
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.BinOp, ast.Subscript)):
        return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if not isinstance(parent, (ast.Return, ast.Assign, ast.Call, ast.keyword, ast.Slice)):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    text, scope = context.text(node), context.scope(node)
    donors = [(other, 2.6) for other in (*scope.parameters[:6], *scope.attributes[:8])]
    if isinstance(node, ast.Attribute):
        owners = [f"{name}.{node.attr}" for name in scope.names[:8]]
        donors = [*[(owner, 2.1) for owner in owners], *donors]
    for other, cost in [("0", 2.1), ("1", 2.3), *dict(reversed(donors)).items()]:
        for function in ("max", "min") if other != text else ():
            longer = f"{function}({text}, {other})"
            yield context.swap(node, longer, "clamped", cost, f"use `{longer}`")


def exception(node: ast.AST, context: Context) -> Iterator[Change]:
    """Another exception raised or caught: those the failing tests wait for, and usual ones."""
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        mine = context.text(node.type)
        raised = sorted(context.evidence.errors - {"AssertionError", "DID NOT RAISE", "Failed"})
        for name in dict.fromkeys([*raised, *EXCEPTIONS, "Exception"]):
            if name != mine and name.isidentifier():
                cost = 1.2 if name in raised else 1.9
                why = f"catch {name} instead of {mine}"
                yield context.edit([(node.type, name)], "exception-caught", cost, why)
                both = f"({mine}, {name})"
                why = f"catch {name} as well as {mine}"
                yield context.edit([(node.type, both)], "exception-caught", cost + 0.1, why)
    elif isinstance(node, ast.Raise) and node.exc is not None:
        target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        mine = context.text(target)
        for name in dict.fromkeys([*context.evidence.raises, *EXCEPTIONS]):
            if name != mine:
                cost = 1.1 if name in context.evidence.raises else 2.2
                why = f"raise {name} instead of {mine}"
                yield context.edit([(target, name)], "exception-raised", cost, why)


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.Name,), variable),
    ((ast.FunctionDef, ast.AsyncFunctionDef), everywhere),
    ((ast.Name, ast.Attribute), known_words),
    ((ast.Attribute,), attribute),
    ((ast.Call,), other_callable),
    ((ast.Name, ast.Attribute), donor_attribute),
    ((ast.Attribute,), other_owner),
    ((ast.expr,), clamped),
    ((ast.ExceptHandler, ast.Raise), exception),
]
