"""Logs: one JSON object a line, with the run and request ids that are bound where the work begins."""

import logging
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

_scrubs: list[Callable[[str], str]] = []


def scrub_with(scrub: Callable[[str], str]) -> None:
    """Have every text of every line pass through ``scrub``, for a process that holds values nobody may read."""
    _scrubs.append(scrub)


class _StandardError:
    """Standard error as it is when a line is written: a command that runs inside of another program may outlive its own."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(level: str) -> None:
    stream = cast(TextIO, _StandardError())
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(levelname)s %(name)s %(message)s")
    # A watcher that leaves in the middle of a query closes its connection; that is no news.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        # A kept logger would cost ten microseconds less a line, and could not be looked at by tests of the same process.
        cache_logger_on_first_use=False,
    )


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """From a line to its trace, when there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def _without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {_scrubbed(key): _scrubbed(value) for key, value in event.items()} if _scrubs else event


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        for scrub in _scrubs:
            value = scrub(value)
        return value
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in cast(list[Any], value)]
    return value if isinstance(value, bool | int | float | None) else _scrubbed(repr(value))
