"""Traces of OpenTelemetry: one way from a request through queue, worker, model and tool to the runner.

Off until ``HYPERCODE_OTLP_ENDPOINT`` is set: then the SDK is loaded and sends to it; before, every call here is the
API's own nothing. Attributes hold ids and names of ours, never text of people, models or repositories.
"""

import importlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import httpx2
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypercode.domain.errors import InvalidArgument

FLUSH_MS = 3000
TRACES_PATH = "/v1/traces"
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
Attribute = str | int | float | bool


def configure_tracing(endpoint: str | None, process: str) -> None:
    """Send this process's spans to an OTLP collector over HTTP; nothing without an endpoint."""
    if not endpoint:
        return
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as missing:
        raise InvalidArgument(
            "HYPERCODE_OTLP_ENDPOINT is set, but OpenTelemetry's SDK is not installed.",
            hint="Install hypercode-platform[tracing].",
        ) from missing
    provider = sdk.TracerProvider(
        resource=resources.Resource.create({"service.name": f"hypercode-{process}"})
    )
    exporter = otlp.OTLPSpanExporter(endpoint=endpoint.rstrip("/") + TRACES_PATH)
    provider.add_span_processor(export.BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)


def flush_traces() -> None:
    """Send what is left, for a process that ends without the interpreter's own end."""
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush(FLUSH_MS)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: Attribute) -> Generator[Span]:
    """A span round a block; ``run_id=...`` becomes the attribute ``hypercode.run_id``."""
    named = {f"hypercode.{key}": value for key, value in attributes.items()}
    with trace.get_tracer("hypercode").start_as_current_span(name, kind=kind, attributes=named) as current:
        yield current


@contextmanager
def resumed(parent: str | None, name: str, **attributes: Attribute) -> Generator[Span]:
    """A span that goes on where ``parent``, a kept ``traceparent``, was: on the other side of a queue."""
    context = propagate.extract({"traceparent": parent} if parent else {})
    named = {f"hypercode.{key}": value for key, value in attributes.items()}
    tracer = trace.get_tracer("hypercode")
    with tracer.start_as_current_span(
        name, context=context, kind=SpanKind.CONSUMER, attributes=named
    ) as current:
        yield current


def here() -> str | None:
    """The current ``traceparent``, to keep beside what is put into a queue; None when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


async def send_trace(request: httpx2.Request) -> None:
    """A hook of our HTTP clients: the request carries the current span."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    request.headers.update(carrier)


class Traced:
    """ASGI middleware: a span round each request, a child of the caller's. FastAPI, in the gateway, makes its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        context = propagate.extract(_headers(scope))
        tracer = trace.get_tracer("hypercode")
        with tracer.start_as_current_span(scope["method"], context=context, kind=SpanKind.SERVER) as current:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    current.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, noted)
            finally:
                # What no route matched may be called anything; our routes hold no ids.
                path = scope["path"] if "endpoint" in scope else "other"
                current.update_name(f"{scope['method']} {path}")


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
