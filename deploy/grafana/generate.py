"""Writes the dashboards next to this file: ``make dashboards``. Change them here, never in the JSON.

Every expression is evaluated in tests/behaviour/test_metrics.py on a platform under load; an empty panel fails.
Things that happen a few times an hour have windows of their own; what happens all the time has Grafana's.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync, DataSourceRef

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
ROW = 24
Kind = Literal["lines", "number"]


@dataclass(frozen=True)
class Shown:
    """A panel: its title, the unit of its numbers, its queries by legend, and what to think of it."""

    title: str
    unit: str
    queries: dict[str, str]
    note: str = ""
    kind: Kind = "lines"


def number(title: str, unit: str, query: str, note: str = "") -> Shown:
    """A panel with one large number."""
    return Shown(title, unit, {title: query}, note, "number")


def rate(by: str, series: str, window: str = "$__rate_interval") -> str:
    """How often something happens, a second, by a label."""
    return f"sum by ({by}) (rate({series}[{window}]))"


def quantile(of: float, histogram: str, by: str = "", window: str = "$__rate_interval") -> str:
    """A quantile of a histogram, by a label."""
    labels = f"le, {by}" if by else "le"
    name, brace, match = histogram.partition("{")
    return f"histogram_quantile({of}, sum by ({labels}) (rate({name}_bucket{brace}{match}[{window}])))"


OVERVIEW = [
    number("At work", "short", 'sum(max by (role, status) (hypercode_runs{status=~"running|verifying"}))'),
    number("Queued", "short", 'sum(max by (role, status) (hypercode_runs{status="queued"}))'),
    number("Waiting for a person", "short", 'max(hypercode_runs_waiting{reason="approval"})'),
    number("Oldest in a queue", "s", "max(role:hypercode_queue_age_seconds:max)"),
    Shown("Runs", "short", {"{{status}}": "sum by (status) (max by (role, status) (hypercode_runs))"}),
    Shown(
        "Runs that ended, an hour",
        "short",
        {"{{grade}}": rate("grade", "hypercode_runs_ended_total", "1h") + " * 3600"},
        "By grade; unproved where nothing was judged.",
    ),
    Shown("Failing requests", "percentunit", {"5xx": "hypercode:http_errors:ratio5m"}),
    Shown(
        "Cost, US dollars an hour", "currencyUSD", {"all": "sum(rate(hypercode_cost_usd_total[1h])) * 3600"}
    ),
    Shown(
        "Processes that answer",
        "short",
        {"{{process}}": 'min by (process) (up{process!=""} or hypercode_process_up)'},
        "0: at least one process of this kind is silent.",
    ),
    Shown(
        "Connections to Postgres in use",
        "percentunit",
        {"{{process}}": "process:hypercode_database_connections:ratio"},
    ),
    Shown("Memory", "bytes", {"{{process}}": "sum by (process) (process_resident_memory_bytes)"}),
    Shown("Processor", "short", {"{{process}}": rate("process", "process_cpu_seconds_total")}, "In cores."),
]

RUNS = [
    Shown("Oldest in a queue", "s", {"{{role}}": "role:hypercode_queue_age_seconds:max"}),
    Shown("Runs by role", "short", {"{{role}} {{status}}": "max by (role, status) (hypercode_runs)"}),
    Shown("Waiting runs", "short", {"{{reason}}": "max by (reason) (hypercode_runs_waiting)"}),
    Shown(
        "Waits for a person",
        "s",
        {"{{kind}}": "max by (kind) (hypercode_approval_age_seconds)"},
        "The oldest.",
    ),
    Shown(
        "Runs that ended, an hour",
        "short",
        {"{{status}}": rate("status", "hypercode_runs_ended_total", "1h") + " * 3600"},
    ),
    Shown(
        "How long runs take",
        "s",
        {
            "{{role}} p50": quantile(0.5, "hypercode_run_seconds", "role", "1h"),
            "{{role}} p95": quantile(0.95, "hypercode_run_seconds", "role", "1h"),
        },
        "From acceptance to the end, waits included.",
    ),
    Shown("Steps, p95", "s", {"{{step}}": quantile(0.95, "hypercode_step_seconds", "step", "30m")}),
    Shown(
        "Steps a minute",
        "short",
        {"{{outcome}}": rate("outcome", "hypercode_step_seconds_count", "5m") + " * 60"},
    ),
    Shown("Events a minute", "short", {"{{type}}": rate("type", "hypercode_events_total") + " * 60"}),
    Shown("Appending events, p95", "s", {"append": quantile(0.95, "hypercode_event_append_seconds")}),
    Shown(
        "Verdicts, an hour",
        "short",
        {"{{grade}}": rate("grade", "hypercode_verdicts_total", "1h") + " * 3600"},
    ),
    Shown(
        "Freezing and judging, p95",
        "s",
        {"{{work}}": quantile(0.95, "hypercode_verification_seconds", "work", "1h")},
    ),
    Shown("Could not judge", "percentunit", {"failed": "hypercode:verification_failures:ratio30m"}),
]

AGENTS = [
    number(
        "Cost, last 24 hours",
        "currencyUSD",
        "sum(increase(hypercode_cost_usd_total[24h]))",
        "Where a price is known.",
    ),
    number("Tokens, last 24 hours", "short", "sum(increase(hypercode_tokens_total[24h]))"),
    number(
        "Turns a run",
        "short",
        "sum(increase(hypercode_turns_total[24h])) / sum(increase(hypercode_runs_ended_total[24h]))",
    ),
    number("Waits for providers, last hour", "short", "sum(increase(hypercode_model_waits_total[1h]))"),
    Shown(
        "Turns a minute",
        "short",
        {"{{role}} {{provider}}": rate("role, provider", "hypercode_turns_total", "5m") + " * 60"},
    ),
    Shown(
        "Tokens a minute",
        "short",
        {"{{provider}} {{direction}}": rate("provider, direction", "hypercode_tokens_total", "5m") + " * 60"},
    ),
    Shown(
        "Cost, US dollars an hour",
        "currencyUSD",
        {"{{role}} {{provider}}": rate("role, provider", "hypercode_cost_usd_total", "1h") + " * 3600"},
    ),
    Shown(
        "Model calls",
        "s",
        {
            "{{provider}} p50": quantile(0.5, "hypercode_model_call_seconds", "provider", "30m"),
            "{{provider}} p95": quantile(0.95, "hypercode_model_call_seconds", "provider", "30m"),
        },
        "Waits for a busy provider included.",
    ),
    Shown(
        "Failing model calls", "percentunit", {"{{provider}}": "provider:hypercode_model_failures:ratio10m"}
    ),
    Shown(
        "Waits for providers, an hour",
        "short",
        {"{{provider}}": rate("provider", "hypercode_model_waits_total", "1h") + " * 3600"},
    ),
]

TOOLS = [
    number("Calls going on", "short", "sum(hypercode_tool_calls_in_flight)"),
    number(
        "Refused by policy, last hour",
        "short",
        'sum(increase(hypercode_tool_decisions_total{decision="deny"}[1h]))',
    ),
    Shown(
        "Calls a minute", "short", {"{{tool}}": rate("tool", "hypercode_tool_calls_total", "5m") + " * 60"}
    ),
    Shown(
        "Decisions a minute",
        "short",
        {"{{decision}}": rate("decision", "hypercode_tool_decisions_total", "5m") + " * 60"},
    ),
    Shown(
        "What was not allowed, an hour",
        "short",
        {
            "{{tool}} {{decision}}": rate(
                "tool, decision", 'hypercode_tool_decisions_total{decision!="allow"}', "1h"
            )
            + " * 3600"
        },
        "deny and ask come from rules; refuse means that the arguments do not fit, or that there is no such tool.",
    ),
    Shown(
        "Results a minute", "short", {"{{code}}": rate("code", "hypercode_tool_calls_total", "5m") + " * 60"}
    ),
    Shown(
        "How long calls take, p95",
        "s",
        {"{{tool}}": quantile(0.95, "hypercode_tool_call_seconds", "tool", "30m")},
    ),
]

SANDBOXES = [
    number("Engine", "short", "min(hypercode_engine_up)", "1: it answers."),
    number("Containers", "short", "sum(hypercode_containers_running)"),
    Shown("Containers by kind", "short", {"{{kind}}": "sum by (kind) (hypercode_containers_running)"}),
    Shown(
        "Starts by phase, p95",
        "s",
        {"{{phase}}": quantile(0.95, "hypercode_sandbox_start_seconds", "phase", "30m")},
    ),
    Shown(
        "Starts an hour",
        "short",
        {
            "{{profile}} {{outcome}}": rate("profile, outcome", "hypercode_sandbox_starts_total", "1h")
            + " * 3600"
        },
    ),
    Shown("Failing starts", "percentunit", {"failed": "hypercode:sandbox_start_failures:ratio15m"}),
    Shown(
        "Environments, p95",
        "s",
        {"{{outcome}}": quantile(0.95, "hypercode_environment_build_seconds", "outcome", "6h")},
        "Built, or found as built before.",
    ),
    Shown(
        "Environments an hour",
        "short",
        {"{{outcome}}": rate("outcome", "hypercode_environment_build_seconds_count", "6h") + " * 3600"},
    ),
    Shown("Checks, p95", "s", {"{{outcome}}": quantile(0.95, "hypercode_check_seconds", "outcome", "1h")}),
    Shown(
        "Checks an hour",
        "short",
        {"{{outcome}}": rate("outcome", "hypercode_check_seconds_count", "1h") + " * 3600"},
    ),
    Shown("Verbs, p95", "s", {"{{verb}}": quantile(0.95, "hypercode_sandbox_verb_seconds", "verb", "30m")}),
    Shown(
        "Verbs a minute",
        "short",
        {"{{outcome}}": rate("outcome", "hypercode_sandbox_verb_seconds_count", "5m") + " * 60"},
    ),
]

GATEWAY = [
    Shown("Requests a second", "reqps", {"{{status}}": rate("status", "hypercode_http_requests_total")}),
    Shown(
        "Time to the first byte, p95",
        "s",
        {"{{route}}": quantile(0.95, "hypercode_http_request_seconds", "route", "5m")},
    ),
    Shown("Failing requests", "percentunit", {"5xx": "hypercode:http_errors:ratio5m"}),
    Shown("Open streams", "short", {"{{kind}}": "sum by (kind) (hypercode_streams_open)"}),
    Shown(
        "Stream lag",
        "s",
        {
            "p50": quantile(0.5, "hypercode_stream_lag_seconds", "", "5m"),
            "p95": "hypercode:stream_lag_seconds:p95_5m",
        },
        "From an event's row to its bytes being sent; replayed events are left out.",
    ),
    Shown("Events sent a second", "short", {"{{kind}}": rate("kind", "hypercode_stream_events_total")}),
    Shown(
        "Watchers that fell behind, an hour",
        "short",
        {"{{kind}}": rate("kind", "hypercode_stream_resets_total", "1h") + " * 3600"},
    ),
    Shown(
        "Sign-ins, an hour",
        "short",
        {"{{outcome}}": rate("outcome", "hypercode_sign_ins_total", "1h") + " * 3600"},
    ),
    Shown(
        "Connections to Postgres",
        "short",
        {"{{process}} {{state}}": "sum by (process, state) (hypercode_database_connections)"},
    ),
]

ALL = {
    "overview": ("Overview", OVERVIEW),
    "runs": ("Runs", RUNS),
    "agents": ("Agents and cost", AGENTS),
    "tools": ("Tools and policy", TOOLS),
    "sandboxes": ("Sandboxes", SANDBOXES),
    "gateway": ("Gateway and streams", GATEWAY),
}


def panel(shown: Shown, width: int) -> stat.Panel | timeseries.Panel:
    """Build one panel."""
    if shown.kind == "number":
        last = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
        built: stat.Panel | timeseries.Panel = stat.Panel().height(4).span(width).reduce_options(last)
    else:
        legend = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
        legend = legend.placement(common.LegendPlacement.BOTTOM).show_legend(True)
        built = timeseries.Panel().height(8).span(width).legend(legend).fill_opacity(10)
        built = built.show_points(common.VisibilityMode.AUTO).min(0)
    built = built.title(shown.title).unit(shown.unit).datasource(SOURCE).description(shown.note)
    for position, (legend_text, expression) in enumerate(shown.queries.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend_text)
        built = built.with_target(query.ref_id(chr(ord("A") + position)))
    return built


def dashboard(name: str) -> Dashboard:
    """Build one dashboard."""
    title, panels = ALL[name]
    built = dashboards.Dashboard(f"HyperCode: {title}").uid(f"hypercode-{name}").tags(["hypercode"])
    built = built.readonly().tooltip(DashboardCursorSync.CROSSHAIR).time("now-6h", "now").refresh("30s")
    built = built.with_variable(
        dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    )
    built = built.link(
        dashboards.DashboardLink("HyperCode").type("dashboards").tags(["hypercode"]).as_dropdown(True)
    )
    numbers = sum(shown.kind == "number" for shown in panels)
    for position, shown in enumerate(panels, start=1):
        # All numbers share the first row; two charts make one.
        width = ROW // numbers if shown.kind == "number" else ROW // 2
        built = built.with_panel(panel(shown, width).id(position))
    return built.build()


def generated() -> dict[Path, str]:
    """The text of every file that belongs here."""
    return {
        FOLDER / f"{name}.json": json.dumps(dashboard(name), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name in ALL
    }


def main() -> None:
    """Write them all."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
