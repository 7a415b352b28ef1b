"""Changing several files as one, moving, deleting, finding: on a real engine."""

import base64
from collections.abc import Awaitable, Callable

import pytest
from tests.sandbox.conftest import Shell

from hypercode.domain.errors import (
    Conflict,
    HyperCodeError,
    InvalidArgument,
    NotFound,
    PathOutside,
    PolicyDenied,
)
from hypercode.sandbox.base import WriteRequest
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.files import (
    ChangeRequest,
    DeleteRequest,
    FileChange,
    GlobRequest,
    MoveRequest,
    SearchRequest,
    StatRequest,
)

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

Change = Callable[..., Awaitable[None]]
ALL = "find . -name .git -prune -o -print | sort | xargs -I{} stat -c '%n %a %F' {}; cat *.py 2>/dev/null"


def write(path: str, text: str, **more: object) -> FileChange:
    data = base64.b64encode(text.encode()).decode()
    return FileChange.model_validate({"action": "write", "path": path, "data_b64": data, **more})


@pytest.fixture
def change(sandboxes: DockerSandboxes, agent: str) -> Change:
    async def run(*changes: FileChange) -> None:
        await sandboxes.change(ChangeRequest(sandbox_id=agent, changes=list(changes)))

    return run


async def test_all_changes_or_none(
    sandboxes: DockerSandboxes, agent: str, shell: Shell, change: Change
) -> None:
    await shell(
        "printf one > a.py; printf two > b.py; chmod 755 b.py; ln a.py hard; ln -s a.py link; mkfifo pipe"
    )
    before = (await shell(ALL)).stdout
    sha256 = (await sandboxes.read(agent, "b.py", 0, 0)).sha256
    good = [
        write("deep/new/c.py", "three", mode=0o755),
        write("b.py", "TWO", if_sha256=sha256),
        FileChange(action="rename", path="calc.py", target="other/calc.py"),
        FileChange(action="mode", path="tests/test_calc.py", mode=0o755),
        FileChange(action="delete", path=".gitignore"),
    ]
    bad: list[tuple[FileChange, type[HyperCodeError]]] = [
        (write("b.py", "x", if_sha256="0" * 64), Conflict),
        (write("tests/test_calc.py", "x", if_sha256=""), Conflict),
        (write("missing.py", "x", if_sha256=sha256), Conflict),
        (FileChange(action="rename", path="b.py", target="a.py"), Conflict),
        (FileChange(action="rename", path="b.py", target="../b.py"), PathOutside),
        (FileChange(action="delete", path="missing"), NotFound),
        (FileChange(action="delete", path="tests"), InvalidArgument),
        (FileChange(action="delete", path="tests/test_calc.py", if_sha256="0" * 64), Conflict),
        (FileChange(action="mode", path="pipe", mode=0o600), InvalidArgument),
        (write("hard", "x"), PolicyDenied),
        (write("link", "x"), InvalidArgument),
        (write("a/.git/config", "x"), PolicyDenied),
        (write(".", "x"), InvalidArgument),
    ]
    for last, error in bad:
        with pytest.raises(error):
            await change(*good, last)
        assert (await shell(ALL)).stdout == before, last
    await change(*good)
    after = (await shell(ALL)).stdout
    assert "./deep/new/c.py 755" in after
    assert "./b.py 755" in after
    assert "./tests/test_calc.py 755" in after
    assert "./other/calc.py 644" in after
    assert ".gitignore" not in after
    assert "./calc.py" not in after
    assert ".hypercode" not in after
    assert after.endswith("oneTWO")


async def test_a_file_too_large_to_be_hashed_is_not_taken_for_none(
    sandboxes: DockerSandboxes, agent: str, shell: Shell, change: Change
) -> None:
    await shell("head -c 20000000 /dev/zero > huge")
    with pytest.raises(Conflict):
        await change(write("huge", "x", if_sha256=""))
    with pytest.raises(Conflict):
        await sandboxes.write(agent, WriteRequest(path="huge", data_b64="", if_sha256=""))
    assert (await shell("stat -c %s huge")).stdout == "20000000\n"


async def test_move_and_delete(sandboxes: DockerSandboxes, agent: str, shell: Shell) -> None:
    async def move(source: str, target: str) -> None:
        await sandboxes.move(MoveRequest(sandbox_id=agent, source=source, target=target))

    async def delete(path: str, *, recursive: bool = False) -> int:
        request = DeleteRequest(sandbox_id=agent, path=path, recursive=recursive)
        return (await sandboxes.delete(request)).deleted

    await shell(
        "mkdir -p many/deep out; touch keep; ln -s ../out many/link; ln -s /tmp many/away; touch out/stays;"
        "cd many; for i in $(seq 300); do mkdir d && cd d && touch f; done"
    )
    await move("many", "new/place")
    with pytest.raises(Conflict):
        await move("new", "out")
    for source, target, error in (
        ("missing", "x", NotFound),
        ("new", "new/inside", InvalidArgument),
        (".", "x", InvalidArgument),
        ("keep", ".git", PolicyDenied),
        ("keep", "new/place/away/x", PathOutside),
        ("keep", "new/place/link/x", PathOutside),
    ):
        with pytest.raises(error):
            await move(source, target)
    with pytest.raises(Conflict):
        await delete("new")
    assert await delete("new/place/link") == 1
    assert await delete("new", recursive=True) > 600
    for path, error in (
        (".", InvalidArgument),
        (".git", PolicyDenied),
        ("new", NotFound),
        ("x/../..", PathOutside),
    ):
        with pytest.raises(error):
            await delete(path, recursive=True)
    assert (await shell("ls -A; ls out")).stdout.split() == [
        ".git",
        ".gitignore",
        "calc.py",
        "keep",
        "out",
        "tests",
        "stays",
    ]


async def test_find_in_order_and_in_parts(sandboxes: DockerSandboxes, agent: str, shell: Shell) -> None:
    await shell(
        "mkdir -p src/a/b node_modules/x; touch src/x.py src/a/y.py src/a/b/z.py src/a/b/z.txt node_modules/x/i.py"
    )

    async def glob(pattern: str, limit: int = 100, skip: int = 0) -> list[str]:
        found = await sandboxes.glob(GlobRequest(sandbox_id=agent, pattern=pattern, limit=limit, skip=skip))
        return [entry.path for entry in found.entries]

    every = ["calc.py", "src/a/b/z.py", "src/a/y.py", "src/x.py", "tests/test_calc.py"]
    assert await glob("**/*.py") == every
    assert [*await glob("**/*.py", 2), *await glob("**/*.py", 2, 2), *await glob("**/*.py", 2, 4)] == every
    assert await glob("src/**/?.py") == ["src/a/b/z.py", "src/a/y.py", "src/x.py"]
    assert await glob("node_modules/**/*.py") == ["node_modules/x/i.py"]
    assert await glob("*") == [".gitignore", "calc.py", "src", "tests"]
    assert await glob(("*a" * 40 + "*/") * 3 + "**/" * 20 + "x") == []
    tree = [
        entry.path
        for skip in range(0, 12, 3)
        for entry in (await sandboxes.tree(agent, "src", 5, 3, skip=skip)).entries
    ]
    assert tree == ["src/a", "src/a/b", "src/a/b/z.py", "src/a/b/z.txt", "src/a/y.py", "src/x.py"]
    found = await sandboxes.search(
        SearchRequest(sandbox_id=agent, pattern="IMPORT", case=False, context=1, limit=1, globs=["tests/*"])
    )
    assert [(hit.line, hit.before, hit.text, hit.after) for hit in found.matches] == [
        (1, [], "import calc", [""])
    ]
    facts = await sandboxes.stat(StatRequest(sandbox_id=agent, paths=["calc.py", "src", "no/where"]))
    assert [(each.kind, each.size > 0) for each in facts.entries] == [
        ("file", True),
        ("dir", True),
        ("missing", False),
    ]
