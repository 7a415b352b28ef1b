"""repair_failing_test: the offline search for a fix, in the sandbox; what the engine prints is checked and cut."""

import json
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hypercode.domain.errors import HyperCodeError, InvalidArgument, TimedOut
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.sandbox.base import ExecRequest, ExecResult
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import ending
from hypercode.tools.tests import no_option

ENGINE = "/opt/hypercode/repair/engine.py"


class RepairArguments(Arguments):
    """Which tests to make pass (none: those that fail), in which files, for how long."""

    test_ids: list[str] = Field(default_factory=list, max_length=100)
    paths: list[str] = Field(
        default_factory=list, max_length=50, description="Globs of files that may change."
    )
    budget_s: float = Field(default=30.0, gt=0, le=300)
    max_patches: int = Field(default=5, ge=1, le=20)

    _plain = field_validator("test_ids", "paths")(no_option)


class _Reported(BaseModel):
    """What the engine prints; more fields than these are left alone."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})


class RepairEdit(_Reported):
    """One exact replacement in one file."""

    path: str = Field(max_length=4096)
    old: str = Field(max_length=100_000)
    new: str = Field(max_length=100_000)


class SuiteCounts(_Reported):
    """What the whole suite reports with the patch."""

    passed: int = 0
    failed: int = 0


class RepairPatch(_Reported):
    """One fix that makes tests pass, with what it makes pass."""

    path: str = Field(max_length=4096)
    diff: str = Field(max_length=100_000)
    edits: list[RepairEdit] = Field(max_length=50)
    template: str = Field(default="", max_length=500)
    score: float = 0.0
    explanation: str = Field(default="", max_length=2000)
    fixes: list[str] = Field(default_factory=list, max_length=1000)
    suite: SuiteCounts | None = None


class _EngineResult(_Reported):
    status: str = Field(max_length=50)
    failing_tests: list[str] = Field(default_factory=list)
    tried: int = 0
    elapsed_s: float = 0.0
    patches: list[RepairPatch] = Field(default_factory=list, max_length=20)
    message: str = Field(default="", max_length=4000)
    notes: list[str] = Field(default_factory=list, max_length=20)


class Repaired(Closed):
    """Ranked patches, the best first; none of them is applied. ``notes``: what is known of tests that stay red."""

    status: str
    failing_tests: list[str]
    tried: int
    elapsed_s: float
    patches: list[RepairPatch]
    message: str
    notes: list[str]
    truncated: bool


async def repair_failing_test(context: ToolContext, args: RepairArguments) -> ToolReply:
    """Search for small fixes that make failing tests pass; nothing is changed."""
    argv = ["python", ENGINE, "--root", "/workspace", "--json"]
    argv += ["--budget-s", f"{args.budget_s:g}", "--max-patches", str(args.max_patches)]
    for test_id in args.test_ids:
        argv += ["--test", test_id]
    for path in args.paths:
        argv += ["--path", path]
    await context.report("searching for a fix")
    # Collecting and running the suite comes on top of the search's own budget.
    request = ExecRequest(argv=argv, timeout_s=args.budget_s + 300, max_output=4 * 1024 * 1024)
    done = await context.sandboxes.exec(context.sandbox, request)
    if done.timed_out:
        raise TimedOut("the search did not end within its limit", hint="Run it for fewer tests or paths.")
    found = _engine_result(done)
    await context.report(f"{found.status}: {len(found.patches)} patches of {found.tried} tried")
    result = _repaired(found)
    return ToolReply(result, _patch_words(result))


def _engine_result(done: ExecResult) -> _EngineResult:
    for line in reversed(done.stdout.splitlines()):
        try:
            event: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and cast(dict[str, Any], event).get("type") == "result":
            try:
                return _EngineResult.model_validate(event)
            except ValidationError as error:
                raise InvalidArgument("the repair engine's result can't be read") from error
    raise HyperCodeError(
        f"the repair engine ended without a result. {ending(done)}", hint=done.stderr.strip()[-500:]
    )


def _repaired(found: _EngineResult) -> Repaired:
    """Keep as many patches as fit well under the hard cap."""
    room, kept = 150_000, list[RepairPatch]()
    for patch in found.patches:
        room -= len(patch.model_dump_json())
        if room < 0:
            break
        kept.append(patch)
    return Repaired(
        status=found.status,
        failing_tests=[test[:1000] for test in found.failing_tests[:100]],
        tried=found.tried,
        elapsed_s=found.elapsed_s,
        patches=kept,
        message=found.message,
        notes=[note[:1500] for note in found.notes],
        truncated=len(kept) < len(found.patches) or len(found.failing_tests) > 100,
    )


def _patch_words(result: Repaired) -> str:
    lines = [
        f"{result.status}: {result.tried} candidates tried in {result.elapsed_s:.1f} s. {result.message}",
        *result.notes,
    ]
    for rank, patch in enumerate(result.patches, start=1):
        lines.append(f"\n{rank}. {patch.explanation} Makes pass: {', '.join(patch.fixes[:10])}\n{patch.diff}")
    return cap_text("\n".join(lines))[0]


REPAIR_TOOLS = (
    Tool(
        "repair_failing_test",
        "Search offline for small fixes to Python code that make failing tests pass; returns ranked patches "
        "as exact edits for fs_edit, and changes nothing.",
        RepairArguments,
        Repaired,
        repair_failing_test,
        read_only=True,
        repeatable=True,
    ),
)
"""The group's tools."""
