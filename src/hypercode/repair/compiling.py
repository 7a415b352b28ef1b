"""From a candidate to code objects that can be swapped in."""

from __future__ import annotations

from types import CodeType
from typing import Any, Dict, Optional, Tuple

from .client import Swap
from .edits import apply
from .generate import Candidate
from .source import SourceFile
from .swap import code_key, compile_unit, unit_span


def compiled(candidate: Candidate) -> Optional[Swap]:
    """New code for what the candidate changes; None when it is not valid or not in a function."""
    codes: Dict[int, CodeType] = {}
    if candidate.base is not None:
        first = compiled(candidate.base)
        if first is None:
            return None
        codes.update(first.codes)
    if candidate.unit is None:
        return None
    start, end = unit_span(candidate.source, candidate.unit)
    end = max(end, candidate.change.span[1])
    try:
        text = apply(candidate.source.text[start:end], candidate.change.replacements, start)
    except ValueError:
        return None
    code = compile_unit(candidate.source, candidate.unit, text)
    line = _original_line(candidate)
    if code is None or line is None:
        return None
    codes[line] = code
    return Swap(candidate.source.absolute, tuple(sorted(codes.items())))


def _original_line(candidate: Candidate) -> Optional[int]:
    """Where the unit began before any change: changes inside functions never reorder units."""
    unit, original = candidate.unit, candidate.original
    if unit is None or original is candidate.source:
        return unit.first_line if unit else None
    before, now = unit_lines(original), unit_lines(candidate.source)
    if len(before) != len(now) or unit.first_line not in now:
        return None
    return before[now.index(unit.first_line)]


def unit_lines(source: SourceFile) -> Tuple[int, ...]:
    """First lines of all outermost functions of a file, in order."""
    units = (source.unit_of(node) for node in source.parents)
    return tuple(sorted({unit.first_line for unit in units if unit is not None}))


def swap_key(swap: Swap) -> Tuple[Any, ...]:
    """Equal for candidates that are the same program."""
    return (swap.path, *((line, code_key(code)) for line, code in swap.codes))
