"""Output that was too long for its result: links, the resource methods, and what audit says of them."""

from pathlib import Path
from typing import Any, cast

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.tools.asked_client import asked

from hypercode.domain.errors import NotFound
from hypercode.mcp_protocol.uris import ProcLog, parse_uri
from hypercode.sandbox.base import Sandboxes
from hypercode.store.audit import read_audit
from hypercode.store.database import Database
from hypercode.tools.app import create_app
from hypercode.tools.progress import last_line

pytestmark = pytest.mark.anyio


@pytest.mark.docker
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_cut_result_links_to_all_of_it(hands: Any, database: Database, mode: str) -> None:
    headers = {"Authorization": f"Bearer {hands.token}"}
    transport = httpx2.AsyncHTTPTransport(uds=str(hands.socket))
    async with httpx2.AsyncClient(transport=transport, headers=headers) as http:
        streams = streamable_http_client("http://tools/mcp/", http_client=http)
        with anyio.fail_after(30):
            async with Client(streams, mode=mode) as client:
                call = {"script": "seq 1 30000", "max_output": 1000}
                cut = await client.call_tool("sh_exec", call)
                text, link = cut.content
                assert cut.structured_content["truncated"]
                assert link.uri == cut.structured_content["resource_uri"]
                assert link.uri in text.text
                whole, offset = "", 0
                while True:
                    part = (await client.read_resource(f"{link.uri}?offset={offset}")).contents[0]
                    assert part.mime_type == "text/plain"
                    whole, offset = whole + part.text, part.meta["dev.hypercode/nextOffset"]
                    if offset == part.meta["dev.hypercode/size"]:
                        break
                assert whole == "".join(f"{number}\n" for number in range(1, 30_001))
                listed = (await client.list_resources()).resources
                assert (listed[-1].uri, listed[-1].size) == (link.uri, len(whole))
                templates = (await client.list_resource_templates()).resource_templates
                assert templates[0].uri_template.startswith("hc://run/{run_id}/proc/")
                short = await client.call_tool("sh_exec", {"script": "echo x"})
                assert (len(short.content), short.structured_content["resource_uri"]) == (1, None)
    async with database.transaction() as session:
        rows = [row for row in await read_audit(session, hands.run.id) if row.tool == "resource_read"]
    assert {row.kind for row in rows} == {"decision", "outcome"}


@pytest.mark.docker
async def test_an_agent_reads_resources_as_a_tool(hands: Any) -> None:
    # A character of two bytes lies across the end of the first part.
    started = await hands.call("sh_start", script="printf '%015d' 0; printf 'äöü\\n'")
    uri = started.data["resource_uri"]
    handle = started.data["proc_id"]
    while (await hands.call("sh_read", proc_id=handle, offset=0, wait_ms=1000)).data["running"]:
        await anyio.lowlevel.checkpoint()
    first = await hands.call("resource_read", uri=uri, max_bytes=16)
    assert (first.data["text"], first.data["next_offset"], first.data["truncated"]) == ("0" * 15, 15, True)
    assert f"{uri}?offset=15" in first.text
    rest = await hands.call("resource_read", uri=f"{uri}?offset=15")
    assert (rest.data["text"], rest.data["truncated"]) == ("äöü\n", False)
    listed = await hands.call("resource_list")
    assert uri in [each["uri"] for each in listed.data["resources"]]
    assert handle in [each["proc_id"] for each in (await hands.call("sh_list")).data["processes"]]


@pytest.mark.docker
async def test_a_long_command_shows_life(hands: Any) -> None:
    said: list[str] = []
    heard = anyio.Event()

    async def on_progress(message: str) -> None:
        said.append(message)
        heard.set()

    async def run() -> None:
        script = "printf 'old\\n\\033[31mstep \\0072\\033[0m\\n'; while ! test -e heard; do sleep 0.05; done"
        await hands.tools.call("sh_exec", {"script": script}, key="life", on_progress=on_progress)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await heard.wait()
            await hands.shell("touch heard")
    assert said[0].endswith(" s: step 2")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ""),
        (b"\n \n\t\n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"10%\r20%\r", "20%"),
        (b"\x1b]52;c;evil\x07\x1b[2Jclean\x1b[0m", "clean"),
        ("a\u202eb\u200bc".encode(), "abc"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_the_last_line_is_plain_text(data: bytes, line: str) -> None:
    assert last_line(data) == line


def test_addresses_have_one_form() -> None:
    log = ProcLog("run_1", "0" * 32)
    assert parse_uri(log.uri) == log
    assert parse_uri(log.uri + "?offset=17").offset == 17
    for wrong in (
        log.uri + "?offset=",
        log.uri + "\n",
        log.uri.upper(),
        log.uri + "?x=1",
        "hc://run//proc/x/log",
    ):
        with pytest.raises(NotFound):
            parse_uri(wrong)


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_run_without_a_container_has_no_resources(
    database: Database, keys: Any, sockets: Path, listening: Any, minting: Any, new_run: Any, mode: str
) -> None:
    socket, run = sockets / "tools.sock", await new_run()
    async with (
        listening(create_app(database, cast(Sandboxes, None), keys).mcp, socket),
        asked(socket, minting.token(run), None, mode=mode) as client,
    ):
        assert (await client.list_resources()).resources == []
