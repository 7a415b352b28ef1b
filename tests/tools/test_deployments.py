"""Deployments on a real engine: who serves, when it changes, and who may change it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import update

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import NotFound, PermissionDenied
from hypercode.domain.web_exchange import WebRequest
from hypercode.events.log import read
from hypercode.platform_api import types as api
from hypercode.platform_api.client import PlatformClient
from hypercode.platform_api.previews import DeploymentStop, PreviewAsk, PreviewClient
from hypercode.sandbox.apps import AppsOf
from hypercode.store.database import Database
from hypercode.store.tables import DeploymentRow, RunRow

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SERVER = """import http.server, os, sys
print("colour", os.environ["COLOUR"], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/": 200, "/health": 200, "/away": 302}.get(self.path, 404)
        self.send_response(known)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(os.environ["COLOUR"].encode())
if os.environ["COLOUR"] == "broken":
    sys.exit("can't start")
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
APP: dict[str, Any] = {"image": "environment", "port": 8000, "command": ["python3", "-c", SERVER]}
HEALTH = {"path": "/health", "interval_s": 0.1}


@pytest.fixture(autouse=True)
async def _clean(trusted_hands: Any) -> AsyncIterator[None]:
    yield
    for each in (await trusted_hands.call("deploy_status")).data["deployments"]:
        assert (await trusted_hands.call("deploy_stop", deployment_id=each["deployment_id"])).ok
    left = await containers(trusted_hands)
    assert left == []


async def containers(hands: Any) -> list[str]:
    return [
        each.container_id
        for each in (await hands.sandboxes.apps.owned(AppsOf(owner=hands.run.task_id))).containers
    ]


async def deploy(hands: Any, colour: str, **more: Any) -> Any:
    outcome = await hands.call("deploy", **{**APP, "health": HEALTH, "env": {"COLOUR": colour}, **more})
    assert outcome.ok, outcome.text
    return outcome.data


async def statuses(hands: Any) -> list[tuple[str, bool]]:
    shown = (await hands.call("deploy_status")).data["deployments"]
    live = [each for each in shown if each["status"] in ("starting", "serving", "standby")]
    return [(each["status"], each["running"]) for each in live]


async def test_only_what_is_healthy_serves_and_there_is_a_way_back(
    trusted_hands: Any, database: Database
) -> None:
    hands = trusted_hands
    blue = await deploy(hands, "blue")
    first = blue["deployment"]
    assert (first["status"], first["running"], blue["health"]["ok"]) == ("serving", True, True)
    address = first["preview_url"]
    assert address.endswith(".preview.localhost:8080/")

    broken = await deploy(hands, "broken", replaces=first["deployment_id"])
    assert (broken["deployment"]["status"], broken["rolled_back"]) == ("failed", True)
    assert "exit code 1" in broken["health"]["last_error"]
    ill = await deploy(
        hands,
        "red",
        replaces=first["deployment_id"],
        health={"path": "/nothing", "interval_s": 0.1, "retries": 3},
    )
    assert (ill["deployment"]["status"], ill["rolled_back"]) == ("failed", True)
    assert "404" in ill["health"]["last_error"]
    assert "colour red" in ill["log_tail"]
    assert await statuses(hands) == [("serving", True)]

    green = await deploy(hands, "green", replaces=first["deployment_id"])
    second = green["deployment"]
    assert second["preview_url"] == address
    assert await statuses(hands) == [("serving", True), ("standby", True)]

    back = await hands.call("deploy_rollback", deployment_id=second["deployment_id"])
    assert (back.data["deployment_id"], back.data["status"]) == (first["deployment_id"], "serving")
    assert await statuses(hands) == [("serving", True)]
    again = await hands.call("deploy_rollback", deployment_id=first["deployment_id"])
    assert again.code == "CONFLICT"
    gone = await hands.call("deploy", **APP, env={"COLOUR": "x"}, replaces=second["deployment_id"])
    assert gone.code == "CONFLICT"

    async with database.transaction() as session:
        events = [event for event in await read(session, hands.run.id) if event.type == "deployment.changed"]
    told = [(event.payload["deployment_id"], event.payload["status"]) for event in events]
    one, two = first["deployment_id"], second["deployment_id"]
    assert [status for id_, status in told if id_ == one] == ["starting", "serving", "standby", "serving"]
    assert [status for id_, status in told if id_ == two] == ["starting", "serving", "stopped"]


async def test_what_stands_by_goes_when_another_takes_its_place(trusted_hands: Any) -> None:
    hands = trusted_hands
    last = (await deploy(hands, "one"))["deployment"]["deployment_id"]
    for colour in ("two", "three"):
        last = (await deploy(hands, colour, replaces=last))["deployment"]["deployment_id"]
    assert await statuses(hands) == [("serving", True), ("standby", True)]
    assert len(await containers(hands)) == 2
    assert (await hands.call("deploy_stop", deployment_id=last)).data["status"] == "stopped"
    assert await statuses(hands) == []
    assert (await hands.call("deploy_stop", deployment_id=last)).ok


async def test_what_a_dead_process_left_starting_is_given_up(trusted_hands: Any, database: Database) -> None:
    hands = trusted_hands
    made = (await deploy(hands, "left"))["deployment"]["deployment_id"]
    async with database.transaction() as session:
        await session.execute(
            update(DeploymentRow)
            .where(DeploymentRow.id == made)
            .values(status="starting", deadline=DeploymentRow.created_at)
        )
    shown = (await hands.call("deploy_status", deployment_id=made)).data["deployments"][0]
    assert (shown["status"], shown["running"]) == ("failed", False)
    assert "stopped while it started" in shown["detail"]
    assert await containers(hands) == []


@pytest.mark.parametrize(
    "field",
    [
        {"health": {"path": "http://169.254.169.254/latest/meta-data"}},
        {"health": {"path": "//169.254.169.254/"}},
        {"health": {"path": "/\\169.254.169.254/"}},
        {"health": {"path": "health"}},
        {"health": {"path": "@evil.example.org/"}},
        {"health": {"path": "/a b"}},
        {"health": {"path": "/a\r\nHost: evil"}},
        {"health": {"path": "/", "host": "evil.example.org"}},
        {"health": {"path": "/", "retries": 10**6}},
        {"port": 0},
        {"port": 70_000},
        {"port": "0.0.0.0:22"},
        {"publish": "0.0.0.0:22"},
        {"host_port": 22},
        {"hostname": "gateway"},
        {"preview_id": "0" * 32},
        {"replaces": "dep_x"},
        {"privileged": True},
        {"network": "host"},
        {"mounts": ["/:/host"]},
    ],
    ids=str,
)
async def test_d4_ports_and_health_checks_lead_nowhere_else(
    trusted_hands: Any, field: dict[str, Any]
) -> None:
    outcome = await trusted_hands.call("deploy", **{**APP, **field})
    assert (outcome.ok, outcome.code) == (False, "INVALID_ARGUMENT"), outcome.text


async def test_d4_a_health_check_follows_no_redirect(trusted_hands: Any) -> None:
    done = await deploy(trusted_hands, "x", health={"path": "/away", "interval_s": 0.1, "retries": 2})
    assert (done["health"]["ok"], done["deployment"]["status"]) == (False, "failed")
    assert "302" in done["health"]["last_error"]


async def test_d3_another_tasks_deployments_are_not_there(
    trusted_hands: Any, minting: Any, new_run: Any
) -> None:
    hands = trusted_hands
    made = (await deploy(hands, "mine"))["deployment"]["deployment_id"]
    run: RunRow = await new_run()
    async with ToolSession(hands.socket, minting.token(run)) as other:
        for tool in ("deploy_status", "deploy_rollback", "deploy_stop"):
            outcome = await other.call(tool, {"deployment_id": made}, key=tool)
            assert (outcome.ok, outcome.code) == (False, "NOT_FOUND"), outcome.text
        taking = {**APP, "command": ["true"], "replaces": made}
        assert (await other.call("deploy", taking, key="taking")).code == "NOT_FOUND"
        assert (await other.call("deploy_status", {}, key="all")).data["deployments"] == []
    assert await statuses(hands) == [("serving", True)]


async def test_the_gateways_key_opens_previews_and_nothing_else(trusted_hands: Any, keys: Any) -> None:
    hands = trusted_hands
    made = (await deploy(hands, "seen"))["deployment"]
    address = made["preview_url"].split("//")[1].partition(".")[0]
    socket = hands.socket.with_name("platform.sock")
    gateway, worker = PreviewClient(socket, keys.preview), PreviewClient(socket, keys.platform)
    asked = PreviewAsk(preview_id=address, request=WebRequest(method="GET", target="/"))
    async with gateway.preview(asked) as answer:
        assert answer.head.status == 200
        assert b"".join([part async for part in answer.body]) == b"seen"
    for client, ask in ((worker, asked), (PreviewClient(socket, "no-key"), asked)):
        with pytest.raises(PermissionDenied):
            async with client.preview(ask):
                pass
        await client.close()
    with pytest.raises(NotFound):
        async with gateway.preview(asked.model_copy(update={"preview_id": "0" * 32})):
            pass
    other = PlatformClient(socket, keys.preview)
    with pytest.raises(PermissionDenied):
        await other.sandbox_close(api.SandboxClose(run_id=hands.run.id))
    await other.close()
    stop = DeploymentStop(task_id=hands.run.task_id, deployment_id=made["deployment_id"])
    with pytest.raises(NotFound):
        await gateway.deployment_stop(stop.model_copy(update={"task_id": "tsk_other"}))
    await gateway.deployment_stop(stop)
    assert await statuses(hands) == []
    with pytest.raises(NotFound):
        async with gateway.preview(asked):
            pass
    await gateway.close()
