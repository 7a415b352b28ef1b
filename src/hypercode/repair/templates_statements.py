"""Templates for statements: deleted, moved, indented, returned, put in."""

from __future__ import annotations

import ast
from typing import Iterator, List, Optional, Tuple, Type

from .context import MAX_DONORS, Context, Template
from .edits import Change, Replacement
from .source import FUNCTIONS
from .templates_conditions import docstring, is_elif, starts_line

RESULTS = ("None", "True", "False", "0", "[]", '""', "-1")
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Delete, ast.AnnAssign, ast.Raise)
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def _lines(node: ast.stmt, context: Context) -> Tuple[int, int]:
    """Offsets of the whole lines a statement takes."""
    start = context.source.line_span(node.lineno)[0]
    return start, context.source.line_span(node.end_lineno or node.lineno)[1]


def _block(node: ast.stmt, context: Context) -> List[ast.stmt]:
    """The list of statements that the statement stands in."""
    parent = context.parent(node)
    for name in ("body", "orelse", "finalbody"):
        block: List[ast.stmt] = getattr(parent, name, [])
        if not isinstance(parent, ast.expr) and node in block:
            return block
    return []


def _alone(node: ast.stmt, context: Context) -> bool:
    """True when no other statement shares the statement's lines."""
    start, end = _lines(node, context)
    first, last = context.source.span(node)
    text = context.source.text
    after = text[last:end].strip()
    return not text[start:first].strip() and (not after or after.startswith("#"))


def deleted(node: ast.AST, context: Context) -> Iterator[Change]:
    """A statement that should not be there."""
    if not isinstance(node, (*_SIMPLE, ast.Continue, ast.Break, ast.If)) or docstring(node):
        return
    if not _alone(node, context) or is_elif(node, context):
        return
    start, end = _lines(node, context)
    if len(_block(node, context)) == 1:
        indent, newline = context.source.indent_of(node.lineno), context.source.newline
        text = f"{indent}pass{newline}"
    else:
        text = ""
    cost = 2.6 if isinstance(node, ast.If) else 1.9
    why = f"leave out line {node.lineno}"
    yield context.splice(start, end, text, "statement-deleted", cost, why)


def returned(node: ast.AST, context: Context) -> Iterator[Change]:
    """A `return` that is missing, or returns the wrong thing."""
    if isinstance(node, ast.Expr) and not docstring(node):
        start = context.source.span(node)[0]
        cost = 1.2 if not isinstance(node.value, ast.Call) else 1.7
        yield context.splice(start, start, "return ", "return-missing", cost, "return the value")
        if isinstance(node.value, ast.Call):
            yield from _assigned(node, context)
    elif isinstance(node, ast.Return):
        yield from _other_results(node, context)


def _assigned(node: ast.Expr, context: Context) -> Iterator[Change]:
    call = node.value
    if isinstance(call, ast.Call):
        targets = [call.func.value] if isinstance(call.func, ast.Attribute) else list(call.args[:1])
        for target in targets:
            if isinstance(target, (ast.Name, ast.Attribute)):
                text = f"{context.text(target)} = {context.text(call)}"
                yield context.edit([(node, text)], "result-unused", 1.6, "keep the call's result")


def _other_results(node: ast.Return, context: Context) -> Iterator[Change]:
    mine = context.text(node.value) if node.value else ""
    scope = context.scope(node)
    options = [(text, 1.9) for text in (*scope.returns, *scope.names) if text != "self"]
    options += [(text, 2.2) for text in RESULTS]
    options += [(text, 2.5) for text in scope.attributes[:MAX_DONORS]]
    options += [(text, 2.7) for text in scope.expressions[:MAX_DONORS]]
    options += [(text, 2.6) for text in context.evidence.literals[:8]]
    for text, cost in dict(reversed(options)).items():
        if text != mine:
            why = f"return `{text}` instead of `{mine or 'None'}`"
            yield context.edit([(node, f"return {text}")], "other-result", cost, why)
    if node.value is not None and not isinstance(node.value, (ast.Constant, ast.Compare)):
        text = f"return not {context.operand(node.value)}"
        yield context.edit([(node, text)], "result-inverted", 2.2, "return the opposite")
    elif isinstance(node.value, ast.Compare):
        text = f"return not ({mine})"
        yield context.edit([(node, text)], "result-inverted", 1.9, "return the opposite")
    yield context.edit([(node, f"yield {mine}")], "result-yielded", 2.8, "yield the value")


def final_return(node: ast.AST, context: Context) -> Iterator[Change]:
    """A function, loop or branch whose end lacks `return value`."""
    if isinstance(node, FUNCTIONS) or not isinstance(node, (ast.stmt,)):
        return
    function = context.function(node)
    if function is None or not _alone(node, context) or isinstance(node, (ast.Return, ast.Raise)):
        return
    block = _block(node, context)
    if not block or block[-1] is not node:
        return
    scope = context.scope(node)
    at_end = block is function.body
    results = [name for name in scope.names if name not in ("self", "cls")]
    results += [text for text in (*scope.returns, *RESULTS) if text not in results]
    results += [text for text in scope.expressions[:MAX_DONORS] if text not in results]
    for position, text in enumerate(results):
        cost = (1.5 if at_end else 2.4) + position / 25
        yield _after(node, f"return {text}", cost, context, "return-missing", f"return `{text}`")


def _after(node: ast.stmt, text: str, cost: float, context: Context, template: str, why: str) -> Change:
    end = _lines(node, context)[1]
    newline, indent = context.source.newline, context.source.indent_of(node.lineno)
    line = f"{indent}{text}{newline}"
    if not context.source.text[:end].endswith("\n"):
        line = f"{newline}{indent}{text}"
    return context.splice(end, end, line, template, cost, f"{why} after line {node.end_lineno}")


def dedented(node: ast.AST, context: Context) -> Iterator[Change]:
    """The last statement of a block that belongs after the block."""
    if not isinstance(node, (*_SIMPLE, *_LOOPS, ast.If)) or not _alone(node, context):
        return
    block = _block(node, context)
    parent = context.parent(node)
    if not block or block[-1] is not node or len(block) < 2 or is_elif(node, context):
        return
    if not isinstance(parent, (ast.If, ast.With, ast.Try, *_LOOPS)):
        return
    if (parent.end_lineno or 0) != (node.end_lineno or 0):
        return
    outer = context.source.indent_of(_owner_line(parent, context))
    yield _reindented(node, outer, context, "take the statement out of the block")


def _owner_line(parent: ast.AST, context: Context) -> int:
    return parent.lineno  # type: ignore[attr-defined]


def hoisted(node: ast.AST, context: Context) -> Iterator[Change]:
    """A result given inside a loop, in the first round, that belongs after the loop."""
    if not isinstance(node, (ast.Return, ast.Raise, ast.Assign)) or not _alone(node, context):
        return
    loop = context.enclosing_loop(node)
    block = _block(node, context)
    if not isinstance(loop, _LOOPS) or not block or block[-1] is not node:
        return
    source, newline = context.source, context.source.newline
    start, end = _lines(node, context)
    parent = context.parent(node)
    text = ""
    if len(block) == 1 and isinstance(parent, ast.If) and block is parent.orelse:
        before = parent.body[-1].end_lineno or 0
        start = source.line_span(before)[1]
    elif len(block) == 1:
        text = f"{source.indent_of(node.lineno)}pass{newline}"
    target = _lines(loop, context)[1]
    line = f"{source.indent_of(loop.lineno)}{context.text(node)}{newline}"
    if not source.text[:target].endswith("\n"):
        line = newline + line
    replacements = (Replacement(start, end, text), Replacement(target, target, line))
    why = f"move line {node.lineno} behind the loop"
    yield Change(replacements, "moved-behind-loop", 1.3, why, node.lineno)


def indented(node: ast.AST, context: Context) -> Iterator[Change]:
    """A statement after a block that belongs into the block."""
    if not isinstance(node, (*_SIMPLE, ast.If, ast.Break, ast.Continue)):
        return
    block = _block(node, context)
    index = block.index(node) if node in block else 0
    if index == 0 or not _alone(node, context):
        return
    before = block[index - 1]
    tail = _last_of(before)
    while tail is not None:
        indent = context.source.indent_of(tail.lineno)
        yield _reindented(node, indent, context, "move the statement into the block before it")
        tail = _last_of(tail)


def _last_of(statement: ast.stmt) -> Optional[ast.stmt]:
    if isinstance(statement, (ast.If, ast.With, ast.Try, *_LOOPS)):
        for name in ("finalbody", "orelse", "body"):
            block: List[ast.stmt] = getattr(statement, name, [])
            if block:
                return block[-1]
    return None


def _reindented(node: ast.stmt, indent: str, context: Context, why: str) -> Change:
    current = context.source.indent_of(node.lineno)
    replacements: List[Replacement] = []
    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
        start = context.source.line_span(line)[0]
        if context.source.text.startswith(current, start):
            replacements.append(Replacement(start, start + len(current), indent))
    return Change(tuple(replacements), "statement-moved-level", 1.5, why, node.lineno)


def moved(node: ast.AST, context: Context) -> Iterator[Change]:
    """Two neighbouring statements in the wrong order, or a statement that belongs further away."""
    if not isinstance(node, (*_SIMPLE, ast.If, *_LOOPS)) or not _alone(node, context):
        return
    block = _block(node, context)
    index = block.index(node) if node in block else -1
    if index < 0 or docstring(node) or is_elif(node, context):
        return
    for other in block[index + 1 :][:3]:
        if not _alone(other, context):
            return
        start, end = _lines(node, context)
        target = _lines(other, context)[1]
        text = context.source.text
        if not text[:target].endswith("\n"):
            return
        moved_text = text[end:target] + text[start:end]
        why = f"put line {node.lineno} after line {other.end_lineno}"
        yield context.splice(start, target, moved_text, "statement-moved", 1.9, why)


def jump(node: ast.AST, context: Context) -> Iterator[Change]:
    """`break`, `continue`, `pass` and `return` taken for each other; `if` for `while` or `elif`."""
    if isinstance(node, (ast.Break, ast.Continue, ast.Pass)):
        mine = context.text(node)
        for text in ("break", "continue", "pass", "return"):
            if text != mine:
                why = f"`{text}` instead of `{mine}`"
                yield context.edit([(node, text)], "jump", 1.4, why)
        for name in context.scope(node).names:
            text = f"return {name}"
            yield context.edit([(node, text)], "jump", 2.4, f"`{text}` instead of `{mine}`")
    elif isinstance(node, (ast.If, ast.While)):
        start = context.source.span(node)[0]
        word = next((w for w in ("elif", "if", "while") if context.source.text.startswith(w, start)), "")
        for other in {"elif": ("if",), "if": ("while", "elif"), "while": ("if",)}.get(word, ()):
            end = start + len(word)
            why = f"`{other}` instead of `{word}`"
            yield context.splice(start, end, other, "branch-kind", 1.6, why)


def added(node: ast.AST, context: Context) -> Iterator[Change]:
    """A statement that is missing after another: a jump, or a copy of one from the function."""
    if not isinstance(node, (*_SIMPLE, ast.If, *_LOOPS)) or not _alone(node, context):
        return
    function = context.function(node)
    if function is None or isinstance(node, (ast.Return, ast.Raise)) or docstring(node):
        return
    if context.enclosing_loop(node) is not None:
        for text, cost in (("break", 1.8), ("continue", 2.0)):
            yield _after(node, text, cost, context, "jump-added", f"`{text}`")
    for other in ast.walk(function):
        if isinstance(other, (ast.Assign, ast.AugAssign, ast.Expr)) and other is not node:
            text = context.text(other)
            if "\n" not in text and not docstring(other):
                why = f"repeat `{text}`"
                yield _after(node, text, 2.6, context, "statement-copied", why)
                yield from _before(node, text, context)
    for name in context.scope(node).names[:MAX_DONORS]:
        for form in ("{} += 1", "{} -= 1"):
            text = form.format(name)
            yield _after(node, text, 2.9, context, "counter-added", f"`{text}`")


def _before(node: ast.stmt, text: str, context: Context) -> Iterator[Change]:
    if starts_line(node, context):
        start = _lines(node, context)[0]
        indent, newline = context.source.indent_of(node.lineno), context.source.newline
        why = f"repeat `{text}` before line {node.lineno}"
        line = f"{indent}{text}{newline}"
        yield context.splice(start, start, line, "statement-copied", 2.7, why)


def collected(node: ast.AST, context: Context) -> Iterator[Change]:
    """Beginners' list faults: `x = x.append(y)`, `x += y` with one element, `x == y` as statement."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        text = context.text(node.value)
        yield context.edit([(node, text)], "result-of-change", 1.8, f"only call `{text}`")
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        target, value = context.text(node.target), context.text(node.value)
        for form in (
            f"{target} += [{value}]",
            f"{target}.append({value})",
            f"{target} += ({value},)",
        ):
            yield context.edit([(node, form)], "one-element", 1.4, f"`{form}`")
        if isinstance(node.value, ast.Call):
            yield context.edit([(node, value)], "result-of-change", 1.9, f"only call `{value}`")
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
        left, right = context.text(node.value.left), context.text(node.value.comparators[-1])
        for form in (f"{left} = {right}", right):
            yield context.edit([(node, form)], "comparison-as-statement", 1.0, f"`{form}`")


def attribute_stored(node: ast.AST, context: Context) -> Iterator[Change]:
    """A method that forgets to store a parameter: `self.x = x`."""
    function = context.function(node)
    if not isinstance(node, ast.stmt) or function is None or node is not function.body[-1]:
        return
    if not function.args.args or function.args.args[0].arg != "self" or not _alone(node, context):
        return
    for argument in function.args.args[1:]:
        text = f"self.{argument.arg} = {argument.arg}"
        yield _after(node, text, 2.0, context, "attribute-stored", f"`{text}`")


TEMPLATES: List[Tuple[Tuple[Type[ast.AST], ...], Template]] = [
    ((ast.stmt,), deleted),
    ((ast.Expr, ast.Return), returned),
    ((ast.stmt,), final_return),
    ((ast.stmt,), dedented),
    ((ast.Return, ast.Raise, ast.Assign), hoisted),
    ((ast.stmt,), indented),
    ((ast.stmt,), moved),
    ((ast.Break, ast.Continue, ast.Pass, ast.If, ast.While), jump),
    ((ast.stmt,), added),
    ((ast.Assign, ast.AugAssign, ast.Expr), collected),
    ((ast.stmt,), attribute_stored),
]
