"""Hot swap: compile one function on its own and put its code into the running process."""

from __future__ import annotations

import ast
import functools
import gc
import os
from types import CodeType, FunctionType
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from .source import SourceFile, Unit, future_flags

CodeId = Tuple[str, int, str]
Undo = List[Tuple[FunctionType, CodeType]]
_CACHE = type(functools.lru_cache(len))


def unit_span(source: SourceFile, unit: Unit) -> Tuple[int, int]:
    """Offsets of a unit's text, from the start of its first line (decorators included)."""
    start = source.line_span(unit.first_line)[0]
    return start, source.span(unit.node)[1]


def compile_unit(source: SourceFile, unit: Unit, text: str) -> Optional[CodeType]:
    """The code object of a unit whose text is replaced by `text`; None if it does not compile.

    Only the function is compiled, inside empty copies of the classes round it (so `super()` and
    private names mean the same) and at its own line: a whole file would cost 10 to 50 times more.
    """
    headers: List[str] = []
    depth = -1
    for owner in unit.owners:
        indent = source.indent_of(owner.lineno)  # type: ignore[attr-defined]
        if len(indent) > depth:
            depth = len(indent)
            kind = f"class {owner.name}:" if isinstance(owner, ast.ClassDef) else "if 1:"
            headers.append(indent + kind + "\n")
    blank = "\n" * (unit.first_line - 1 - len(headers))
    whole = blank + "".join(headers) + text + "\n"
    try:
        code = compile(whole, source.absolute, "exec", flags=future_flags(source.tree), dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, OverflowError, MemoryError):
        return None
    return find_code(code, unit.name, unit.first_line)


def find_code(code: CodeType, name: str, line: int) -> Optional[CodeType]:
    """The nested code object with this name and first line."""
    for inner in nested(code):
        if inner.co_name == name and inner.co_firstlineno == line:
            return inner
        found = find_code(inner, name, line)
        if found is not None:
            return found
    return None


def nested(code: CodeType) -> Iterator[CodeType]:
    """Code objects directly inside another, in order."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant


def code_key(code: CodeType) -> Tuple[Any, ...]:
    """What the code does, without line numbers: equal keys mean the same program."""
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_flags,
        tuple(_constant_key(constant) for constant in code.co_consts),
    )


def _constant_key(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return code_key(constant)
    # 1, 1.0 and True are equal to each other but not the same program; neither are 0.0 and -0.0.
    return (type(constant).__name__, repr(constant))


class LiveFunctions:
    """The functions of this process by the code they run."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._by_code: Dict[CodeId, List[FunctionType]] = {}
        self._paths: Dict[str, str] = {}
        self.caches: List[Any] = []
        self.refresh()

    def refresh(self) -> None:
        """Look again, after imports. Must run before `gc.freeze`, which hides objects."""
        found = gc.get_objects()
        for candidate in found:
            if type(candidate) is FunctionType:
                self._add(candidate)
        self.caches = [entry for entry in found if type(entry) is _CACHE and self._owns(entry)]

    def _owns(self, cache: Any) -> bool:
        code = getattr(cache.__wrapped__, "__code__", None)
        return code is not None and self._real(code.co_filename).startswith(self._root)

    def _add(self, function: FunctionType) -> None:
        code = function.__code__
        path = self._real(code.co_filename)
        if not path.startswith(self._root):
            return
        known = self._by_code.setdefault((path, code.co_firstlineno, code.co_name), [])
        if not any(entry is function for entry in known):
            known.append(function)

    def _real(self, path: str) -> str:
        if path not in self._paths:
            self._paths[path] = os.path.realpath(path)
        return self._paths[path]

    def install(self, path: str, line: int, code: CodeType) -> Optional[Undo]:
        """Give every function that runs the code at this place the new code.

        `line` is where the old code began; the new one may begin elsewhere when a change before
        it added lines.

        None when no such function is alive or its closure has another shape; the caller then
        has to import the module anew. Otherwise what `restore` needs to take it back.
        """
        functions = self._find(path, line, code.co_name)
        if not functions:
            return None
        old = functions[0].__code__
        if not all(_fits(function.__code__, code) for function in functions):
            return None
        undo: Undo = []
        _assign(functions, code, undo)
        self._install_nested(path, old, code, undo)
        return undo

    def _find(self, path: str, line: int, name: str) -> List[FunctionType]:
        key = (self._real(path), line, name)
        return self._by_code.get(key, [])

    def _install_nested(self, path: str, old: CodeType, new: CodeType, undo: Undo) -> None:
        """Closures made at import (a decorator's wrapper) hold the old nested code: swap it too."""
        after = list(nested(new))
        for position, inner in enumerate(nested(old)):
            if position >= len(after) or after[position].co_name != inner.co_name:
                return
            found = self._find(path, inner.co_firstlineno, inner.co_name)
            alive = [each for each in found if _fits(each.__code__, after[position])]
            _assign(alive, after[position], undo)
            self._install_nested(path, inner, after[position], undo)


def _fits(old: CodeType, new: CodeType) -> bool:
    return old.co_freevars == new.co_freevars


def _assign(functions: Iterable[FunctionType], code: CodeType, undo: Undo) -> None:
    for function in functions:
        undo.append((function, function.__code__))
        function.__code__ = code


def restore(undo: Undo) -> None:
    """Take an `install` back."""
    for function, code in undo:
        function.__code__ = code


def clear_caches(caches: Iterable[Any]) -> None:
    """Forget what `functools.lru_cache` kept, as it may come from other code."""
    for cache in caches:
        cache.cache_clear()
