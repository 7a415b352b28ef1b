"""lint_run and type_check: whichever linter or checker the project's environment has, with one form of findings."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from hypercode.domain.errors import HyperCodeError, NotFound
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.diagnostics import (
    Diagnostic,
    Parse,
    parse_eslint,
    parse_flake8,
    parse_go_vet,
    parse_mypy,
    parse_pyright,
    parse_ruff,
    parse_tsc,
)
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import ExecRequest
from hypercode.tools.progress import followed
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import ending, log_uri, with_log
from hypercode.tools.tests import no_option

MAX_FOUND = 200
MAX_OUTPUT = 8 * 1024 * 1024
OUTPUT_TAIL = 4000
BIN = "node_modules/.bin"


@dataclass(frozen=True)
class Judge:
    """A linter or checker: how it is called, what must be in the directory for it, where its findings stand."""

    name: str
    argv: tuple[str, ...]
    parse: Parse
    everything: tuple[str, ...] = (".",)
    needs: tuple[str, ...] = ()
    on_stderr: bool = False


LINTERS = (
    Judge("ruff", ("ruff", "check", "--output-format=json", "--no-cache", "--no-fix"), parse_ruff),
    Judge("flake8", ("python", "-m", "flake8"), parse_flake8),
    Judge("eslint", (f"{BIN}/eslint", "--format", "json"), parse_eslint, needs=("package.json",)),
    Judge("go vet", ("go", "vet"), parse_go_vet, ("./...",), ("go.mod",), on_stderr=True),
)
CHECKERS = (
    Judge(
        "mypy",
        (
            "python",
            "-m",
            "mypy",
            "--show-column-numbers",
            "--no-error-summary",
            "--no-color-output",
            "--cache-dir=/tmp/mypy",
        ),
        parse_mypy,
    ),
    Judge("pyright", ("pyright", "--outputjson"), parse_pyright, ()),
    Judge("tsc", (f"{BIN}/tsc", "--noEmit", "--pretty", "false"), parse_tsc, (), ("tsconfig.json",)),
)


class LintArguments(Arguments):
    """Paths to look at (none: everything), and which linter (none: the first that is there)."""

    targets: list[str] = Field(default_factory=list, max_length=500)
    linter: Literal["ruff", "flake8", "eslint", "go vet"] | None = None
    cwd: WorkspacePath = "."
    timeout_s: float = Field(default=300.0, gt=0, le=900)

    _plain = field_validator("targets")(no_option)

    def touched(self) -> Touched:
        """The linter's name and the targets."""
        return Touched(argv=(self.linter or "lint", *self.targets))


class TypeArguments(Arguments):
    """Paths to look at (none: everything), and which checker (none: the first that is there)."""

    targets: list[str] = Field(default_factory=list, max_length=500)
    checker: Literal["mypy", "pyright", "tsc"] | None = None
    cwd: WorkspacePath = "."
    timeout_s: float = Field(default=600.0, gt=0, le=900)

    _plain = field_validator("targets")(no_option)

    def touched(self) -> Touched:
        """The checker's name and the targets."""
        return Touched(argv=(self.checker or "types", *self.targets))


class Diagnosed(Closed):
    """What was found. ``readable`` False: the program's output was no list of findings; ``output`` is its end."""

    tool: str
    exit_code: int | None
    timed_out: bool
    readable: bool
    errors: int
    warnings: int
    diagnostics: list[Diagnostic]
    output: str
    truncated: bool
    resource_uri: str | None


async def lint_run(context: ToolContext, args: LintArguments) -> ToolReply:
    """Lint the project or some of its files."""
    judges = [each for each in LINTERS if args.linter in (None, each.name)]
    return await _judged(context, judges, args)


async def type_check(context: ToolContext, args: TypeArguments) -> ToolReply:
    """Check the types of the project or of some of its files."""
    judges = [each for each in CHECKERS if args.checker in (None, each.name)]
    return await _judged(context, judges, args)


async def _judged(
    context: ToolContext, judges: list[Judge], args: LintArguments | TypeArguments
) -> ToolReply:
    judge = await _present(context, judges, args.cwd)
    await context.report(f"running {judge.name}")
    request = ExecRequest(
        argv=[*judge.argv, *(args.targets or judge.everything)],
        cwd=args.cwd,
        timeout_s=args.timeout_s,
        max_output=MAX_OUTPUT,
        log_over=OUTPUT_TAIL,
    )
    done = await followed(context, request)
    try:
        found: list[Diagnostic] | None = judge.parse(done.stderr if judge.on_stderr else done.stdout)
    except HyperCodeError:
        found = None
    # A program that fails without a finding broke: its words are the result then.
    readable = found is not None and not done.truncated and (done.exit_code == 0 or bool(found))
    said = (found or []) if readable else []
    words = "" if readable else cap_text(f"{done.stdout}\n{done.stderr}".strip(), OUTPUT_TAIL)[0]
    result = Diagnosed(
        tool=judge.name,
        exit_code=done.exit_code,
        timed_out=done.timed_out,
        readable=readable,
        errors=sum(each.severity == "error" for each in said),
        warnings=sum(each.severity == "warning" for each in said),
        diagnostics=said[:MAX_FOUND],
        output=words,
        truncated=len(said) > MAX_FOUND or done.truncated,
        resource_uri=log_uri(context, done),
    )
    text = _words(result) if readable else f"{judge.name} broke. {ending(done)}\n{words}"
    return with_log(ToolReply(result, cap_text(text)[0]), result.resource_uri if result.truncated else None)


async def _present(context: ToolContext, judges: list[Judge], cwd: str) -> Judge:
    """The first that the environment has; raises NotFound naming those that were looked for."""
    for judge in judges:
        if await _is_there(context, judge, cwd):
            return judge
    raise NotFound(
        f"the project's environment has none of: {', '.join(each.name for each in judges)}",
        hint="Add one to the project's environment, or run another with sh_exec.",
    )


async def _is_there(context: ToolContext, judge: Judge, cwd: str) -> bool:
    module = judge.argv[2] if judge.argv[:2] == ("python", "-m") else ""
    probe = f"python -c 'import {module}'" if module else f"command -v {judge.argv[0]}"
    script = " && ".join([*(f"test -f {name}" for name in judge.needs), probe])
    request = ExecRequest(argv=["sh", "-c", script], cwd=cwd, timeout_s=30)
    return (await context.sandboxes.exec(context.sandbox, request)).exit_code == 0


def _words(result: Diagnosed) -> str:
    lines = [f"{result.tool}: {result.errors} errors, {result.warnings} warnings."]
    for each in result.diagnostics:
        place = ":".join(str(part) for part in (each.file, each.line, each.col) if part is not None)
        lines.append(f"{place}: {each.severity}: {each.message} [{each.code}]")
    return "\n".join(lines)


DIAGNOSTIC_TOOLS = (
    Tool(
        "lint_run",
        "Lint the project (or the given paths) with the linter that its environment has: ruff, flake8, eslint, go vet.",
        LintArguments,
        Diagnosed,
        lint_run,
        read_only=False,
        repeatable=True,
    ),
    Tool(
        "type_check",
        "Check types (or those of the given paths) with the checker that the environment has: mypy, pyright, tsc.",
        TypeArguments,
        Diagnosed,
        type_check,
        read_only=False,
        repeatable=True,
    ),
)
"""The group's tools."""
