from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hypercode.repair.source import SourceFile
from hypercode.repair.swap import LiveFunctions, clear_caches, code_key, compile_unit, restore

MODULE = """import functools

class Base:
    def size(self):
        return 1

class Shop(Base):
    def size(self):
        return super().size() + 1

def counted(function):
    @functools.wraps(function)
    def wrapper(n):
        return function(n) * 10
    return wrapper

@counted
def double(n):
    return n * 2

@functools.lru_cache(None)
def cached(n):
    return n
"""


def loaded(tmp_path: Path, name: str) -> tuple[ModuleType, SourceFile]:
    path = tmp_path / f"{name}.py"
    path.write_text(MODULE, "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module, SourceFile.load(tmp_path, path.name)


def swapped(file: SourceFile, live: LiveFunctions, old: str, new: str) -> bool:
    node = next(n for n in file.parents if hasattr(n, "lineno") and file.segment(n) == old)
    unit = file.unit_of(node)
    assert unit is not None
    start, end = file.line_span(unit.first_line)[0], file.span(unit.node)[1]
    code = compile_unit(file, unit, file.text[start:end].replace(old, new))
    assert code is not None
    return live.install(file.absolute, unit.first_line, code) is not None


def test_a_method_with_super(tmp_path: Path):
    module, file = loaded(tmp_path, "swap_super")
    assert swapped(file, LiveFunctions(str(tmp_path)), "super().size() + 1", "super().size() + 5")
    assert module.Shop().size() == 6


def test_a_decorated_function_and_its_wrapper(tmp_path: Path):
    module, file = loaded(tmp_path, "swap_wrapper")
    live = LiveFunctions(str(tmp_path))
    assert swapped(file, live, "n * 2", "n * 3")
    assert module.double(1) == 30
    assert swapped(file, live, "function(n) * 10", "function(n) * 100")
    assert module.double(1) == 300


def test_restore_and_caches(tmp_path: Path):
    module, file = loaded(tmp_path, "swap_restore")
    live = LiveFunctions(str(tmp_path))
    assert module.cached(4) == 4
    unit = file.unit_of(file.tree.body[-1])
    assert unit is not None
    code = compile_unit(file, unit, "@functools.lru_cache(None)\ndef cached(n):\n    return -n")
    assert code is not None
    undo = live.install(file.absolute, unit.first_line, code)
    assert undo is not None
    clear_caches(live.caches)
    assert module.cached(4) == -4
    restore(undo)
    clear_caches(live.caches)
    assert module.cached(4) == 4


def test_keys_tell_programs_apart():
    def key(text: str) -> object:
        return code_key(compile(text, "f", "exec"))

    assert key("x = 1\n") == key("\n\nx = 1  # one\n")
    assert key("x = 1") != key("x = True")
    assert key("x = 0.0") != key("x = -0.0")
