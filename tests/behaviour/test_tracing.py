"""One trace from a person's request to the command in the container, received by a real OTLP endpoint."""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.behaviour.person import first_admin
from tests.behaviour.platform import Platform, running, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
SECRET_WORDS = "words of a person that belong in no trace"


class Collector:
    """What arrived, as (process, span)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.port = 0

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {
                attribute.key: attribute.value.string_value for attribute in resource.resource.attributes
            }
            self.spans += [
                (named["service.name"], span) for scope in resource.scope_spans for span in scope.spans
            ]

    def named(self, process: str, name: str) -> list[Span]:
        return [
            span for service, span in self.spans if (service, span.name) == (f"hypercode-{process}", name)
        ]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what it needs."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.requirement("traces:whole-way")
def test_one_trace_from_the_request_to_the_runner(project, tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    turns = [{"say": SECRET_WORDS, "calls": [{"tool": "fs_read", "arguments": {"path": "pyproject.toml"}}]}]
    script.write_text(json.dumps({"turns": [*turns, {"say": "Done."}]}))
    repo = project("inventory")
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        with collecting() as collector:
            setting = {"HYPERCODE_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
            platform = Platform(Path(directory) / "d", environment=setting)
            with running(platform, ["--root", "/tmp"]), first_admin(platform) as person:
                connected = person.post("/projects", {"source_kind": "local_path", "source": str(repo)})
                asked = {"project_id": connected["id"], "prompt": SECRET_WORDS, "model": f"scripted:{script}"}
                person.watch(person.post("/tasks", asked)["run_id"])
                wait_for(lambda: collector.named("worker", "run"), "the end of the run's span")
            # Stopping the platform sends what was left.
            spans = collector.spans
            [request] = collector.named("gateway", "POST /api/v1/tasks")
            mine = [(process, span) for process, span in spans if span.trace_id == request.trace_id]
            assert {process for process, _ in mine} == {
                f"hypercode-{name}" for name in ("gateway", "worker", "tools", "sandboxd", "verifier")
            }
            by_id = {span.span_id: (process, span.name) for process, span in mine}
            reads = [span for _, span in mine if span.name == "runner read"]
            assert reads
            for read in reads:
                hops = [process for process, _ in groupby(way(by_id, mine, read))]
                assert hops == ["gateway", "worker", "tools", "sandboxd"]
            assert SECRET_WORDS not in str(spans)


def way(by_id: dict[bytes, tuple[str, str]], mine: list[tuple[str, Span]], span: Span) -> list[str]:
    """The processes from the first span of a trace to this one."""
    parents = {each.span_id: each.parent_span_id for _, each in mine}
    found, at = list[str](), span.span_id
    while at in by_id:
        found.append(by_id[at][0].removeprefix("hypercode-"))
        at = parents[at]
    return found[::-1]
