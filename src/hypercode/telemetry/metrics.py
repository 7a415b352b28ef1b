"""Every Prometheus series of the platform, in one file; docs/reference/metrics.md says what each means.

Labels take few values, all of them ours: no ids, and nothing that a user, a model or a repository wrote.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import product
from time import perf_counter

from prometheus_client import Counter, Gauge, Histogram

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
VERY_LONG = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)

# gateway
HTTP_REQUESTS = Counter(
    "hypercode_http_requests", "Requests that the gateway answered.", ["method", "route", "status"]
)
HTTP_REQUEST_SECONDS = Histogram(
    "hypercode_http_request_seconds", "Time to the first byte of the answer.", ["method", "route"]
)
SIGN_INS = Counter("hypercode_sign_ins", "Sign-ins by outcome.", ["outcome"])
STREAMS_OPEN = Gauge("hypercode_streams_open", "Event streams open in the gateway.", ["kind"])
STREAM_EVENTS = Counter("hypercode_stream_events", "Events sent to watchers, replayed ones too.", ["kind"])
STREAM_DELTAS = Counter("hypercode_stream_deltas", "Pieces of models' text sent to watchers.", ["kind"])
STREAM_LAG_SECONDS = Histogram(
    "hypercode_stream_lag_seconds", "From an event's row to its bytes being sent.", ["kind"], buckets=QUICK
)
STREAM_RESETS = Counter("hypercode_stream_resets", "Watchers that were too slow to follow.", ["kind"])

# gateway, read from Postgres when it is scraped
RUNS = Gauge("hypercode_runs", "Runs that have not ended, by status.", ["role", "status"])
RUNS_WAITING = Gauge("hypercode_runs_waiting", "Waiting runs, by what they wait for.", ["reason"])
WORKERS = Gauge("hypercode_workers", "Workers by state; those that ended in the last week too.", ["state"])
QUEUE_AGE_SECONDS = Gauge("hypercode_queue_age_seconds", "How long the oldest queued run waits.", ["role"])
APPROVALS_PENDING = Gauge(
    "hypercode_approvals_pending", "What waits for a person: approvals and questions.", ["kind"]
)
APPROVAL_AGE_SECONDS = Gauge("hypercode_approval_age_seconds", "How long the oldest of them waits.", ["kind"])
PROCESS_UP = Gauge("hypercode_process_up", "Whether a relayed process answered this scrape.", ["process"])

# worker
RUNS_ENDED = Counter("hypercode_runs_ended", "Runs that ended.", ["role", "status", "grade"])
RUN_SECONDS = Histogram(
    "hypercode_run_seconds", "From a run's acceptance to its end.", ["role", "status"], buckets=VERY_LONG
)
STEP_SECONDS = Histogram(
    "hypercode_step_seconds", "Durable steps that were done, not replayed.", ["step", "outcome"], buckets=LONG
)
SNAPSHOT_SECONDS = Histogram(
    "hypercode_snapshot_seconds",
    "Snapshots of workspaces, asked for after calls that may write.",
    ["outcome"],
)
TURNS = Counter("hypercode_turns", "Model calls that were answered.", ["role", "provider"])
TOKENS = Counter("hypercode_tokens", "Tokens that providers counted.", ["role", "provider", "direction"])
COST_USD = Counter(
    "hypercode_cost_usd", "What model calls cost, where a price is known.", ["role", "provider"]
)
MODEL_CALL_SECONDS = Histogram(
    "hypercode_model_call_seconds", "Model calls, waits included.", ["provider", "outcome"], buckets=LONG
)
RUNS_TAKEN_OVER = Counter(
    "hypercode_runs_taken_over", "Runs that this worker took out of the hands of one that was gone."
)
RECOVERY_SECONDS = Histogram(
    "hypercode_recovery_seconds",
    "From the last sign of life of a worker to another's claim of its run.",
    buckets=LONG,
)
MODEL_WAITS = Counter("hypercode_model_waits", "Waits for a provider that was busy or away.", ["provider"])

# worker and gateway
APPROVALS_DECIDED = Counter(
    "hypercode_approvals_decided", "Approvals that people gave or refused, or that expired.", ["state"]
)
COMMANDS_SETTLED = Counter(
    "hypercode_commands_settled", "What became of what people told runs.", ["verb", "state"]
)
EVENTS = Counter("hypercode_events", "Events that were appended to the log.", ["type"])
EVENT_APPEND_SECONDS = Histogram(
    "hypercode_event_append_seconds", "Appending a step's events, without the commit.", buckets=QUICK
)

# tools
TOOL_CALLS = Counter("hypercode_tool_calls", "Tool calls by tool and result code.", ["tool", "code"])
TOOL_DECISIONS = Counter("hypercode_tool_decisions", "What was decided of tool calls.", ["tool", "decision"])
TOOL_CALL_SECONDS = Histogram(
    "hypercode_tool_call_seconds", "How long tool calls took.", ["tool"], buckets=LONG
)
TOOL_CALLS_IN_FLIGHT = Gauge("hypercode_tool_calls_in_flight", "Tool calls going on now.")
TOOL_REQUESTS_REFUSED = Counter(
    "hypercode_tool_requests_refused_total", "Requests of runs that were too far ahead of their pace."
)

# sandboxd
ENGINE_UP = Gauge("hypercode_engine_up", "Whether the container engine answered this scrape.", ["engine"])
CONTAINERS_RUNNING = Gauge("hypercode_containers_running", "Containers of this installation.", ["kind"])
SANDBOX_VERB_SECONDS = Histogram(
    "hypercode_sandbox_verb_seconds", "How long verbs of sandboxd took.", ["verb", "outcome"], buckets=LONG
)
SANDBOX_STARTS = Counter(
    "hypercode_sandbox_starts", "Containers that were asked for.", ["profile", "outcome"]
)
SANDBOX_START_SECONDS = Histogram(
    "hypercode_sandbox_start_seconds", "Starts of containers, by phase.", ["profile", "phase"]
)
ENVIRONMENT_BUILD_SECONDS = Histogram(
    "hypercode_environment_build_seconds", "Environments that were asked for.", ["outcome"], buckets=LONG
)
CHECK_SECONDS = Histogram(
    "hypercode_check_seconds",
    "Checks in clean containers, with start and clean-up.",
    ["outcome"],
    buckets=LONG,
)

# verifier
VERDICTS = Counter("hypercode_verdicts", "Verdicts that were signed, by grade.", ["grade"])
VERIFICATION_SECONDS = Histogram(
    "hypercode_verification_seconds",
    "Freezing checks and judging results.",
    ["work", "outcome"],
    buckets=LONG,
)

# every process that has a database
DATABASE_CONNECTIONS = Gauge(
    "hypercode_database_connections", "Connections of this process's pool to Postgres.", ["state"]
)
DATABASE_CONNECTIONS_MAX = Gauge("hypercode_database_connections_max", "Connections that the pool may open.")


def begin_at_zero(series: Counter | Histogram, *values: Iterable[str]) -> None:
    """Show every combination of these labels from the start: a series that begins at 1 hides its first rise."""
    for labels in product(*values):
        series.labels(*labels)


class Timing:
    """What a timed piece of work came to; ``outcome`` becomes the last label."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome


@contextmanager
def timed(histogram: Histogram, *labels: str, done: str = "done") -> Generator[Timing]:
    """Observe how long the block took; its outcome is ``done``, what it set, or how it was left by an exception."""
    began, timing = perf_counter(), Timing(done)
    try:
        yield timing
    except asyncio.CancelledError:
        timing.outcome = "cancelled"
        raise
    except Exception:
        timing.outcome = "failed"
        raise
    finally:
        histogram.labels(*labels, timing.outcome).observe(perf_counter() - began)


def watch_connections(in_use: Callable[[], int], idle: Callable[[], int], most: int) -> None:
    """Read the pool of this process when it is scraped."""
    DATABASE_CONNECTIONS.labels("in_use").set_function(in_use)
    DATABASE_CONNECTIONS.labels("idle").set_function(idle)
    DATABASE_CONNECTIONS_MAX.set(most)
