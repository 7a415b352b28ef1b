"""``make conformance``: the official suite against the server and the client, both revisions, and a table.

Exit 0 only if every required scenario passes on the conformance profile and with the client, and the scenarios that
need no fixtures pass on the production profile but for what tests/conformance/production.yaml names.
"""

import logging
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import structlog
from rich.console import Console
from rich.table import Table
from tests.conformance.stand import Profile, postgres, standing

ROOT = Path(__file__).parents[2]
SUITE = ROOT / ".tools/judges-node/node_modules/@modelcontextprotocol/conformance"
NODE = [str(ROOT / ".venv/bin/node"), str(SUITE / "dist/index.js")]
CLIENT = f"{sys.executable} -m tests.conformance.client"

REVISIONS = ("2026-07-28", "2025-11-25")
FIXTURE_FREE = {
    "2026-07-28": (
        "server-stateless",
        "tools-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "caching",
        "http-header-validation",
        "http-custom-header-server-validation",
        "sep-2164-resource-not-found",
        "json-schema-2020-12",
    ),
    "2025-11-25": (
        "server-initialize",
        "ping",
        "tools-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "server-session-lifecycle",
    ),
}
_LINE = re.compile(r"^(✓|✗|~) (\S+): (\d+) passed, (\d+) failed", re.MULTILINE)
_NOT_SCORED = re.compile(r"^  [✓✗] (\S+) \((?:extension|pending|added-after-release)\)", re.MULTILINE)
_ALONE = re.compile(r"Passed: (\d+)/(\d+), (\d+) failed")


@dataclass
class Verdict:
    """What one run of the suite came to. ``scenarios``: checks passed and failed, by name; only those scored."""

    revision: str
    side: str
    code: int
    scenarios: dict[str, tuple[int, int]]
    not_scored: dict[str, tuple[int, int]]
    output: str

    def failing(self) -> list[str]:
        return [name for name, (_, failed) in self.scenarios.items() if failed]


async def judged(*arguments: str) -> tuple[int, str]:
    with tempfile.TemporaryDirectory(prefix="hc-cf-", dir="/tmp") as directory:
        command = [*NODE, *arguments, "-o", directory, "--timeout", "120000"]
        done = await anyio.run_process(
            command,
            check=False,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        )
    return done.returncode, done.stdout.decode("utf-8", "replace")


async def required(revision: str, side: str, *arguments: str) -> Verdict:
    """Everything that a revision requires of a side."""
    code, output = await judged(side, "--requirements", revision, *arguments)
    told = {name: (int(passed), int(failed)) for _, name, passed, failed in _LINE.findall(output)}
    extra = set(_NOT_SCORED.findall(output))
    return Verdict(
        revision,
        side,
        code,
        {name: checks for name, checks in told.items() if name not in extra},
        {name: checks for name, checks in told.items() if name in extra},
        output,
    )


async def fixture_free(revision: str, url: str) -> Verdict:
    """The scenarios that look at the server itself, one by one."""
    expected = ["--expected-failures", str(Path(__file__).with_name("production.yaml"))]
    verdict = Verdict(revision, "server, production", 0, {}, {}, "")
    for scenario in FIXTURE_FREE[revision]:
        code, output = await judged(
            "server", "--url", url, "--scenario", scenario, "--spec-version", revision, *expected
        )
        found = _ALONE.search(output)
        verdict.scenarios[scenario] = (int(found[1]), int(found[3])) if found else (0, 1)
        verdict.code = verdict.code or code
        verdict.output += output
    return verdict


async def verdicts() -> list[Verdict]:
    found: list[Verdict] = []
    with postgres() as database_url:
        async with standing(database_url, Profile.FIXTURES) as stand:
            found += [await required(revision, "server", "--url", stand.open_url) for revision in REVISIONS]
        async with standing(database_url, Profile.PRODUCTION) as stand:
            found += [await fixture_free(revision, stand.open_url) for revision in REVISIONS]
    return [*found, *[await required(revision, "client", "--command", CLIENT) for revision in REVISIONS]]


def show(found: list[Verdict]) -> None:
    table = Table(
        "revision", "side", "exit", "scenarios passed", "failed", "checks passed", "not scored: failed"
    )
    for verdict in found:
        failing = verdict.failing()
        table.add_row(
            verdict.revision,
            verdict.side,
            str(verdict.code),
            str(len(verdict.scenarios) - len(failing)),
            str(len(failing)),
            str(sum(passed for passed, _ in verdict.scenarios.values())),
            f"{sum(1 for _, failed in verdict.not_scored.values() if failed)} of {len(verdict.not_scored)}",
        )
    console = Console(width=110)
    console.print(table)
    for verdict in found:
        for name in verdict.failing():
            passed, failed = verdict.scenarios[name]
            console.print(
                f"{verdict.revision} {verdict.side}: {name}: {passed} checks passed, {failed} failed"
            )


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = anyio.run(verdicts)
    for verdict in found:
        if verdict.code:
            print(verdict.output)
    show(found)
    sys.exit(int(any(verdict.code for verdict in found)))


if __name__ == "__main__":
    main()
