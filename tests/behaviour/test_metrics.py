"""A real Prometheus watches a real platform under a small load: every panel of every dashboard shows numbers."""

import json
import math
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.behaviour.model_server import model_server
from tests.behaviour.person import Person, first_admin
from tests.behaviour.platform import Platform, free_port, running, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SCRIPT = {
    "turns": [
        {
            "say": "This is not mine to write.",
            "calls": [{"tool": "fs_write", "arguments": {"path": ".git/config", "content": "x"}}],
        },
        {
            "say": "The sign is wrong.",
            "calls": [
                {
                    "tool": "fs_edit",
                    "arguments": {"path": "calc.py", "edits": [{"old": "a - b", "new": "a + b"}]},
                }
            ],
        },
        {"say": "It adds now."},
    ]
}


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that scrapes one platform since ``began``."""

    url: str
    began: float

    def points(self, expression: str) -> list[float]:
        """The numbers that a panel would draw, over the whole time, all series together."""
        asked = {
            "query": expression.replace("$__rate_interval", "20s"),
            "start": str(self.began),
            "end": str(time.time()),
            "step": "1",
        }
        answer = httpx2.get(f"{self.url}/api/v1/query_range", params=asked, timeout=20)
        assert answer.status_code == 200, (expression, answer.text)
        series = answer.json()["data"]["result"]
        numbers = [float(value) for each in series for _, value in each["values"]]
        return [value for value in numbers if math.isfinite(value)]

    def counted(self, counter: str) -> float:
        """What a counter came to; on a busy machine its last scrape may have failed."""
        return self.now(f"max_over_time({counter}[10m])")

    def now(self, expression: str) -> float:
        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=20).json()
        return sum(float(each["value"][1]) for each in answer["data"]["result"])


@contextmanager
def prometheus(platform: Platform, folder: Path) -> Iterator[Prometheus]:
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": [str(DEPLOY / "prometheus" / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": "gateway",
                "honor_labels": True,
                "static_configs": [
                    {"targets": [f"127.0.0.1:{platform.port}"], "labels": {"process": "gateway"}}
                ],
            }
        ],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    port = free_port()
    began = time.time()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus", f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    watching = Prometheus(f"http://127.0.0.1:{port}", began)

    def scraped() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
        try:
            # It answers before it has read its own files.
            ready = httpx2.get(f"{watching.url}/-/ready").status_code == 200
            return ready and watching.now("up") == 1
        except httpx2.TransportError:
            return False

    try:
        wait_for(scraped, "a first scrape")
        yield watching
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def priced_model(script: Path) -> Iterator[dict[str, str]]:
    """The settings of a worker that asks a scripted server, whose tokens cost something."""
    with model_server(script) as url:
        yield {
            "HYPERCODE_LLM__BASE_URL": f"{url}/v1",
            "HYPERCODE_LLM__INPUT_PRICE_PER_MILLION": "3",
            "HYPERCODE_LLM__OUTPUT_PRICE_PER_MILLION": "15",
        }


def load(person: Person, repo: Path) -> None:
    """Two runs: one repairs by search, one has a model that also asks for what no rule allows."""
    project = person.post("/projects", {"source_kind": "local_path", "source": str(repo)})
    runs = [
        person.post("/tasks", {"project_id": project["id"], "prompt": "Make the test pass.", "model": model})
        for model in ("builtin/repair", "openai-compatible:local")
    ]
    assert [person.watch(run["run_id"])["proof"] for run in runs] == ["fixed", "fixed"]
    wrong = {"email": "ada@example.org", "password": "not the words"}
    assert person.client.post("/api/v1/login", json=wrong).status_code == 401


def panels() -> dict[str, str]:
    """Every query of every panel, by where it stands."""
    return {
        f"{path.stem}: {panel['title']} {target['refId']}": target["expr"]
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    }


def never_drawn(watching: Prometheus, seconds: float = 30) -> list[str]:
    """The queries that show no number; the last scrape, and the rules after it, come a moment after the load."""
    empty, deadline = panels(), time.monotonic() + seconds

    def settled() -> bool:
        for where, expression in list(empty.items()):
            if watching.points(expression):
                del empty[where]
        return not empty or time.monotonic() > deadline

    wait_for(settled, "an answer of Prometheus", 2 * seconds)
    return sorted(empty)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "calc"
    repo.mkdir()
    (repo / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (repo / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n"
    )
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
            cwd=repo, check=True, capture_output=True,
        )  # fmt: skip
    return repo


@pytest.mark.requirement("metrics:panels")
def test_every_panel_shows_numbers(repo: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(json.dumps(SCRIPT))
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        with (
            priced_model(script) as settings,
            running(Platform(Path(directory) / "d", environment=settings), ["--root", "/tmp"]) as platform,
            prometheus(platform, tmp_path) as watching,
            first_admin(platform) as person,
        ):
            load(person, repo)
            assert never_drawn(watching) == []
            assert watching.counted('hypercode_tool_decisions_total{tool="fs_write", decision="deny"}') == 1
            assert watching.counted('hypercode_runs_ended_total{grade="fixed", status="succeeded"}') == 2
            assert watching.counted('hypercode_sign_ins_total{outcome="refused"}') == 1
            assert watching.counted('hypercode_turns_total{provider="openai-compatible"}') == 3
            assert (
                watching.counted('hypercode_tokens_total{provider="openai-compatible", direction="in"}') > 0
            )
            assert 0 < watching.counted("hypercode_cost_usd_total") < 1
            each = "count by (process) (max_over_time(process_resident_memory_bytes[10m]))"
            assert watching.now(f"count({each})") == 5
            assert watching.now('ALERTS{alertstate="firing"}') == 0
