from __future__ import annotations

import ast
from pathlib import Path

from hypercode.repair.source import SourceFile, future_flags, read_text

TEXT = """class Shop:
    @property
    def näme(self):
        def inner():
            return "ü" + self.x
        return inner()

LIMIT = 3
"""


def source() -> SourceFile:
    return SourceFile("shop.py", "/shop.py", TEXT)


def test_segments_of_text_that_is_not_ascii():
    found = [source().segment(n) for n in ast.walk(source().tree) if isinstance(n, ast.BinOp)]
    assert found == ['"ü" + self.x']


def test_unit_is_the_outermost_function_with_its_decorator():
    file = source()
    inner = next(n for n in ast.walk(file.tree) if isinstance(n, ast.BinOp))
    unit = file.unit_of(inner)
    assert unit is not None
    assert (unit.name, unit.first_line) == ("näme", 2)
    assert [type(owner).__name__ for owner in unit.owners] == ["ClassDef"]


def test_module_code_has_no_unit():
    file = source()
    assert file.unit_of(file.tree.body[-1]) is None


def test_declared_encoding(tmp_path: Path):
    path = tmp_path / "old.py"
    path.write_bytes("# coding: latin-1\nname = 'ü'\r\n".encode("latin-1"))
    assert read_text(path) == "# coding: latin-1\nname = 'ü'\r\n"


def test_future_flags():
    assert future_flags(ast.parse("from __future__ import annotations")) != 0
    assert future_flags(ast.parse("import os")) == 0
