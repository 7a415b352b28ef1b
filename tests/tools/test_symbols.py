"""Finding symbols: every language, rubbish, and a parser that dies."""

import base64
import contextlib
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from hypercode.tools.symbols import LANGUAGES, WORKER, _Source, parse

pytestmark = pytest.mark.anyio

TEXTS = {
    "python": "class A:\n    def go(self, x: int) -> int:\n        return x\n\nasync def f():\n    def inner(): pass\n",
    "javascript": "class A { go(x) { return x } }\nfunction f() {}\nconst g = (a) => a;\n",
    "typescript": "interface I { x: number }\nexport class A<T> { go(x: T): T { return x } }\ntype T = string;\nenum E { A }\n",
    "tsx": "export const View = () => <p>x</p>;\n",
    "go": "package p\ntype S struct { x int }\ntype I interface { Go() }\nfunc (s *S) Go() {}\nfunc F() {}\n",
    "rust": "struct S;\nimpl S { fn go(&self) {} }\ntrait T { fn t(&self); }\nfn f() {}\nmod m { enum E { A } }\n",
    "java": "class A { A() {} int go(int x) { return x; } interface I {} }\n",
    "c": "struct s { int x; };\nint *f(int a) { return 0; }\ntypedef int t;\nstruct s mention;\n",
    "cpp": "namespace n { class A { void go() {} }; }\nint n::B::f() { return 1; }\n",
    "ruby": "module M\n  class A\n    def go(x)\n    end\n  end\nend\n",
}
EXPECTED = {
    "python": ["class A", "method go", "function f", "function inner"],
    "javascript": ["class A", "method go", "function f", "function g"],
    "typescript": ["interface I", "class A", "method go", "type T", "enum E"],
    "tsx": ["function View"],
    "go": ["struct S", "interface I", "method Go", "function F"],
    "rust": ["struct S", "method go", "interface T", "function f", "module m", "enum E"],
    "java": ["class A", "method A", "method go", "interface I"],
    "c": ["struct s", "function f", "type t"],
    "cpp": ["module n", "class A", "method go", "function n::B::f"],
    "ruby": ["module M", "class A", "method go"],
}


def source(language: str, text: str | bytes, path: str = "x") -> _Source:
    data = text if isinstance(text, bytes) else text.encode()
    return _Source(path, language, base64.b64encode(data).decode())


async def test_every_language() -> None:
    assert set(TEXTS) == set(LANGUAGES.values())
    answers, broken = await parse([source(language, text) for language, text in TEXTS.items()])
    assert broken == []
    found = {
        language: [f"{each['kind']} {each['name']}" for each in answer]
        for language, answer in zip(TEXTS, answers, strict=True)
    }
    assert found == EXPECTED
    go = answers[0][1]
    assert (go["line"], go["end"], go["container"], go["signature"]) == (
        2,
        3,
        "A",
        "def go(self, x: int) -> int",
    )


async def test_rubbish_and_deep_nesting_break_nothing() -> None:
    deep = "(" * 20_000 + ")" * 20_000
    rubbish = bytes(range(256)) * 20
    texts = [deep, rubbish, "", "class A:\n def f(\n" * 500]
    with anyio.fail_after(60):
        answers, broken = await parse([source(language, text) for language in TEXTS for text in texts])
    assert len(answers) == len(TEXTS) * len(texts)
    assert broken == []


def _symbol_worker() -> psutil.Process | None:
    for child in psutil.Process().children():
        # Children that other tests left may end, or lie dead and unreaped, while they are asked for their words.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "hypercode.tools.symbol_worker" in child.cmdline():
                return child
    return None


async def test_a_parser_that_is_killed_takes_one_file_along() -> None:
    slow = "".join(f"def f{number}(a, b):\n    return [a, (b, {{a: b}})]\n" for number in range(8_000))
    sources = [source("python", slow, f"{number}.py") for number in range(3)]

    async def kill() -> None:
        while not (worker := _symbol_worker()):
            await anyio.lowlevel.checkpoint()
        worker.kill()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            answers, broken = await parse(sources)
    assert [reason for _, reason in broken] == ["the parser broke"]
    assert sorted(len(answer) for answer in answers) == [0, 5000, 5000]


def test_the_tools_process_starts_without_any_grammar() -> None:
    script = (
        "import sys, hypercode.tools.symbols; print([name for name in sys.modules if 'tree_sitter' in name])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_worker_has_no_environment_and_can_not_write(tmp_path: Path) -> None:
    assert WORKER[1] == "-I"
    script = f"import hypercode.tools.symbol_worker as w; w._confine(); open({str(tmp_path / 'x')!r}, 'w').write('x')"
    subprocess.run([WORKER[0], "-I", "-c", script], capture_output=True, check=False, env={})
    assert (tmp_path / "x").stat().st_size == 0
