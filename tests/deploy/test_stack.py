"""The stack in containers, as `make compose-up` starts it: used, probed from inside, and hit. `make test-stack`."""

import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, expect
from tests.behaviour.browser import Window, chromium, pictures_folder, window
from tests.behaviour.platform import free_port, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PROJECT = "hypercode-test"
PORTS = {
    "postgres": 5432, "redis": 6379, "gateway": 8080, "worker-architect": 8000, "worker-coder": 8000,
    "tools": 8000, "platform": 8001, "sandboxd": 8000, "verifier": 8000, "egress": 3128, "prometheus": 9090,
}  # fmt: skip
HONEST = ("UNCERTAIN", "SANDBOX_DOWN")
MARKS = 12
WORKERS = {"worker-architect", "worker-coder"}
# Who may reach whom; docs/explanation/deployment.md draws it. The workers share their networks.
REACHES = {
    "gateway": {"postgres", "redis", "tools", "platform", "prometheus", "gateway"},
    "worker-coder": {"postgres", "redis", "tools", "platform", "verifier", "egress", "prometheus"} | WORKERS,
    "tools": {"postgres", "redis", "sandboxd", "tools", "platform", "gateway", "verifier", "prometheus"}
    | WORKERS,
    "verifier": {"postgres", "tools", "platform", "verifier", "prometheus"} | WORKERS,
    "sandboxd": {"tools", "platform", "sandboxd", "prometheus"},
    "egress": {"egress"} | WORKERS,
}
OUTSIDE = ["169.254.169.254:80", "1.1.1.1:443", "9.9.9.9:53"]
PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reached(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
targets = json.loads(sys.argv[1])
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps([t for t, ok in zip(targets, pool.map(reached, targets)) if ok]))
"""
ENGINE = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock')"


class Stack:
    """The running stack, and what can be asked of it from outside."""

    def __init__(self, projects: Path) -> None:
        self.projects = projects
        self.port, self.prometheus_port = free_port(), free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_PROFILES": "full",
            "HYPERCODE_PORT": str(self.port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "GRAFANA_PORT": str(free_port()),
            "HYPERCODE_PROJECTS_DIR": str(projects),
            "HYPERCODE_SCRIPTS_DIR": str(projects),
        }
        self.setup_url = ""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [ROOT / "scripts" / "compose", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self) -> None:
        said = self.compose("up")
        self.setup_url = next(re.finditer(r"http\S+/login#token=\S+", said)).group()

    def container(self, service: str) -> Any:
        name = f"{PROJECT}-{service}-1"
        done = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    def addresses(self) -> dict[str, str]:
        """Every address of every service, with its port, and the service's name."""
        found: dict[str, str] = {}
        for service, port in PORTS.items():
            networks = self.container("tools" if service == "platform" else service)["NetworkSettings"][
                "Networks"
            ]
            found.update({f"{network['IPAddress']}:{port}": service for network in networks.values()})
        return found

    def inside(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", f"{PROJECT}-{service}-1", "python3", "-S", "-c", *arguments],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def kill(self, service: str) -> None:
        """SIGKILL from the host, like a crash: the engine starts it again by its restart policy."""
        state = self.container(service)
        os.kill(int(state["State"]["Pid"]), signal.SIGKILL)
        begun = state["State"]["StartedAt"]
        wait_for(lambda: self._healthy_since(service, begun), f"{service} is back", 120)

    def _healthy_since(self, service: str, begun: str) -> bool:
        state = self.container(service)["State"]
        return state["Running"] and state["StartedAt"] != begun and state["Health"]["Status"] == "healthy"

    def query(self, expression: str) -> list[Any]:
        answer = httpx2.get(
            f"http://localhost:{self.prometheus_port}/api/v1/query", params={"query": expression}
        )
        return answer.json()["data"]["result"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Its own directory under a path that others may enter: the services run as another user.
    projects = Path("/tmp") / f"hc-stack-{os.getpid()}"
    projects.mkdir(mode=0o755)
    subprocess.run(["cp", "-r", str(ROOT / "examples" / "inventory"), str(projects)], check=True)
    stack = Stack(projects)
    try:
        stack.up()
        yield stack
    finally:
        if "HYPERCODE_KEEP_STACK" not in os.environ:
            stack.compose("down", "--volumes", check=False)
            subprocess.run(["rm", "-rf", str(projects)], check=True)


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    _ = stack
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def admin(stack: Stack, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with window(browser, stack.url, pictures_folder(tmp_path_factory.mktemp("pictures"))) as live:
        page = live.goto(stack.setup_url)
        page.get_by_label("Name").fill("Ada Byron")
        page.get_by_label("Email").fill("ada@example.org")
        page.get_by_label("Password").fill("four words of one person")
        page.get_by_role("button", name="Make the admin account").click()
        page.get_by_text("First, connect a project").wait_for()
        live.api("/projects", {"source_kind": "local_path", "source": str(stack.projects / "inventory")})
        # A page that looks for its tasks while a service is killed would rightly complain.
        page.goto("about:blank")
        yield live


def start(admin: Window, prompt: str, model: str) -> str:
    [project] = admin.api("/projects")["items"]
    asked = {"project_id": project["id"], "prompt": prompt, "model": model, "routing": "coder"}
    return admin.api("/tasks", asked)["run_id"]


def finished(admin: Window, run_id: str) -> dict[str, Any]:
    def ended() -> bool:
        # Not OK while a service is away: then the answer is a problem that says so, and the next look counts.
        answer = admin.context.request.get(f"{admin.url}/api/v1/runs/{run_id}")
        return answer.ok and answer.json()["ended_at"] is not None

    wait_for(ended, f"{run_id} ended", 300)
    events = admin.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), (
        "an event is lost or doubled"
    )
    return events[-1]["payload"]


def script(stack: Stack, name: str, turns: Sequence[dict[str, Any]]) -> str:
    path = stack.projects / f"{name}.yaml"
    path.write_text(json.dumps({"turns": list(turns)}))
    return f"scripted:/scripts/{path.name}"


def test_a_task_in_the_browser_and_its_traces_in_prometheus(stack: Stack, admin: Window) -> None:
    page = admin.goto("/")
    page.get_by_label("Task", exact=True).fill("Make the failing test pass.")
    page.get_by_label("Model").select_option("builtin/repair")
    page.get_by_role("button", name="Start the task").click()
    expect(page.get_by_text("Fixed: verified by the platform")).to_be_visible(timeout=240_000)
    admin.picture("50-stack")
    page.goto("about:blank")
    for expression in (
        'hypercode_runs_ended_total{status="succeeded",grade="fixed"}',
        'hypercode_tool_calls_total{tool="test_run",code="OK"}',
        'hypercode_sandbox_start_seconds_count{profile="agent",phase="runner"}',
        'hypercode_verdicts_total{grade="fixed"}',
    ):
        wait_for(lambda asked=expression: stack.query(asked), f"{expression} in Prometheus", 60)


@pytest.mark.parametrize("service", REACHES)
def test_a_service_reaches_what_is_listed_and_nothing_else(stack: Stack, service: str) -> None:
    addresses = stack.addresses()
    done = stack.inside(service, PROBE, json.dumps([*addresses, *OUTSIDE]))
    assert done.returncode == 0, done.stderr
    reached = {addresses.get(target, target) for target in json.loads(done.stdout)}
    allowed = REACHES[service] | (set(OUTSIDE) if service == "egress" else set())
    assert reached <= allowed
    # What is listed beside itself and its peers' metrics is really there.
    assert reached >= REACHES[service] & {"postgres", "redis", "sandboxd", "egress"}
    assert (stack.inside(service, ENGINE).returncode == 0) == (service == "sandboxd")


def test_a_sandbox_reaches_nothing(stack: Stack, admin: Window) -> None:
    targets = json.dumps([*stack.addresses(), *OUTSIDE])
    turns = [
        {
            "say": "Look.",
            "calls": [{"tool": "sh_exec", "arguments": {"argv": ["python", "-c", PROBE, targets]}}],
        },
        {"say": "Engine.", "calls": [{"tool": "sh_exec", "arguments": {"argv": ["python", "-c", ENGINE]}}]},
        {"say": "Done."},
    ]
    run_id = start(admin, "Look around.", script(stack, "probe", turns))
    finished(admin, run_id)
    calls = [event["payload"] for event in admin.events(run_id) if event["type"] == "tool_call.completed"]
    assert "[]" in calls[0]["result"], calls[0]
    assert "FileNotFoundError" in calls[1]["result"], calls[1]


def marking(stack: Stack, name: str) -> str:
    """A model that makes an agent leave marks that can be counted."""
    turns = [
        {"say": f"Mark {n}.", "delay_s": 0.4,
         "calls": [{"tool": "sh_exec", "arguments": {"argv": ["sh", "-c", f"echo mark {n} >> {name}.txt"]}}]}
        for n in range(MARKS)
    ]  # fmt: skip
    return script(stack, name, [*turns, {"say": "Done."}])


def check_marks(stack: Stack, admin: Window, run_id: str) -> None:
    """Each mark stands there once, or the agent was told that it may not: never twice, never lost in silence."""
    last = finished(admin, run_id)
    assert last["status"] == "succeeded", json.dumps(last)
    told = [e["payload"]["code"] for e in admin.events(run_id) if e["type"] == "tool_call.completed"]
    written = admin.context.request.get(f"{stack.url}/api/v1/artifacts/{last['diff']}").text()
    assert len(told) == MARKS
    for n, code in enumerate(told):
        times = written.count(f"+mark {n}\n")
        honest = code in ("OK", "UNCERTAIN") if times == 1 else times == 0 and code in HONEST
        assert honest, f"mark {n} of {run_id}: {code}, {times} times"
    assert [code for code in told if code not in (*HONEST, "OK")] == []


def logs_of(container: str) -> str:
    """What a container wrote; nothing when it is gone."""
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "service",
    [
        "redis",
        "tools",
        "worker-coder",
        "worker-architect",
        "gateway",
        "verifier",
        "sandboxd",
        "postgres",
        "egress",
    ],
)
def test_a_service_dies_under_load_and_nothing_is_lost(stack: Stack, admin: Window, service: str) -> None:
    model = marking(stack, f"marks-{service}")
    runs = [start(admin, f"Mark while {service} dies.", model) for _ in range(2)]
    wait_for(lambda: any("turn.completed" in str(admin.events(run)) for run in runs), "the load works", 120)
    stack.kill(service)
    for run_id in runs:
        check_marks(stack, admin, run_id)


def test_workers_are_added_by_starting_them_and_one_that_is_gone_is_replaced(
    stack: Stack, admin: Window
) -> None:
    stack.compose("up", "--scale", "worker-coder=3")
    run_id = start(admin, "Mark while a worker goes.", marking(stack, "marks-gone"))
    workers = [f"{PROJECT}-worker-coder-{n}" for n in (1, 2, 3)]

    def holders() -> list[str]:
        return [name for name in workers if f'"run_id": "{run_id}", "event": "run.taken"' in logs_of(name)]

    wait_for(lambda: "turn.completed" in str(admin.events(run_id)), "the run works", 120)
    (holder,) = holders()
    subprocess.run(["docker", "rm", "--force", holder], capture_output=True, check=True)
    wait_for(lambda: len(holders()) == 1 and holders() != [holder], "another worker has it", 30)
    check_marks(stack, admin, run_id)


def test_down_leaves_nothing_running(stack: Stack) -> None:
    """The last one."""
    stack.compose("down")
    instance = f"i{hashlib.sha256(f'/data/{PROJECT}'.encode()).hexdigest()[:24]}"
    for label in (f"com.docker.compose.project={PROJECT}", f"dev.hypercode.instance={instance}"):
        listed = subprocess.run(
            ["docker", "ps", "-aq", "--filter", f"label={label}"], capture_output=True, text=True, check=True
        )
        assert listed.stdout == "", label
    networks = subprocess.run(
        ["docker", "network", "ls", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert networks.stdout == ""
