"""What a decision costs: with the built-in policy, and with one of 200 rules for the role.

    python -m bench.policy [--calls 20000] [--json]

The CPU's time is without that in which a busy machine ran something else. Cedar, through its binding for Python, decides the same kind of call beside ours, with its policies parsed before.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import cedarpy

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.decide import decide, never
from hypercode.policy.files import BUILT_IN
from hypercode.policy.parse import parse_policy
from hypercode.policy.rules import Policy

RULES = 200
GRANT = Grant(
    organisation_id="o", project_id="p", task_id="t", run_id="r", workspace_id="w", role=AgentRole.CODER,
    expires_at=datetime(2099, 1, 1, tzinfo=UTC),
)  # fmt: skip


def large_policy(rules: int = RULES) -> Policy:
    """Rules on one and the same tool, so that a call which nothing forbids passes all of them."""
    rows = [
        f"    - {{id: r{n}, effect: {'forbid' if n % 2 else 'ask'}, tools: [fs_write, sh_exec], "
        f"paths: [pkg{n}/**/secret-*.txt, '**/*.gen{n}', only{n}/x], hosts: ['*.h{n}.example.org']}}"
        if n % 3
        else f"    - {{id: r{n}, effect: forbid, tools: [fs_write, sh_exec], argv: "
        f"[{{program: [tool{n}], positional: [push], has_any: [-f, --force]}}]}}"
        for n in range(rules - 1)
    ]
    rows.append("    - {id: last, effect: allow, tools: [fs_write, sh_exec]}")
    text = "name: large\nversion: 1\nroles:\n  coder:\n" + "\n".join(rows) + "\n"
    return parse_policy(text, "large", BUILT_IN)[0]


def calls(number: int) -> list[ToolCall]:
    """Calls of a busy run: a deep path, a patch of many files, a command, one that is forbidden, one that asks."""
    shapes = [
        ToolCall("fs_read"),
        ToolCall("fs_write", Touched(paths=("src/deep/er/and/deeper/file.py",), size=4000)),
        ToolCall("fs_apply_patch", Touched(paths=tuple(f"src/a/b/file{n}.py" for n in range(20)))),
        ToolCall("sh_exec", Touched(argv=("sh", "-c", "pytest -q tests && git status"))),
        ToolCall("sh_exec", Touched(argv=("git", "-C", "x", "push", "--force", "-rf"))),
        ToolCall("fs_write", Touched(paths=("a/.git/hooks/x",))),
        ToolCall("fs_write", Touched(paths=(".github/workflows/ci.yml",))),
    ]
    chosen = random.Random(1)
    return [chosen.choice(shapes) for _ in range(number)]


def microseconds(do: Callable[[ToolCall], object], made: Sequence[ToolCall]) -> dict[str, float]:
    for call in made[:200]:
        do(call)
    took: list[tuple[float, float]] = []
    for call in made:
        began, cpu = time.perf_counter(), time.thread_time()
        do(call)
        took.append((time.perf_counter() - began, time.thread_time() - cpu))
    wall, cpu_only = (sorted(seconds * 1e6 for seconds in column) for column in zip(*took, strict=True))
    return {
        "p50_us": round(wall[len(wall) // 2], 1),
        "p99_us": round(wall[int(len(wall) * 0.99)], 1),
        "cpu_p99_us": round(cpu_only[int(len(wall) * 0.99)], 1),
    }


def cedar() -> Callable[[ToolCall], object]:
    policies = cedarpy.PolicySet.from_str(
        'permit(principal == Role::"coder", action in [Action::"fs_read", Action::"fs_write", Action::"sh_exec"], resource);\n'
        'forbid(principal == Role::"coder", action == Action::"fs_write", resource) when { context.path like "*.git/*" };'
    )

    def decide_call(call: ToolCall) -> object:
        path = call.touched.paths[0] if call.touched.paths else ""
        request = {
            "principal": 'Role::"coder"', "action": f'Action::"{call.tool}"', "resource": 'Run::"r"',
            "context": {"path": path},
        }  # fmt: skip
        return cedarpy.is_authorized(request, policies, [])

    return decide_call


def measure(number: int) -> dict[str, dict[str, float]]:
    made, large = calls(number), large_policy()
    return {
        "built-in policy": microseconds(lambda call: decide(call, GRANT, BUILT_IN), made),
        f"policy of {RULES} rules": microseconds(lambda call: decide(call, GRANT, large), made),
        "whether a tool is listed": microseconds(lambda call: never(call.tool, GRANT, BUILT_IN), made),
        "Cedar, two policies": microseconds(cedar(), made[: number // 10]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.calls)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, row in figures.items():
            print(f"{name:25}", "  ".join(f"{figure} {value:8.1f}" for figure, value in row.items()))


if __name__ == "__main__":
    main()
