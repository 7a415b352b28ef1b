"""Rules and configuration as Prometheus itself reads them, and held against the series that there are."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from hypercode.telemetry import metrics

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = sorted(PROMETHEUS.glob("rules/*.yml"))


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def known_series() -> set[str]:
    """Every name that a query may ask for: what the platform shows, and what the rules record."""
    known = {rule["record"] for rule in rules() if "record" in rule}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            told = next(iter(metric.describe()))
            endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(told.type, [""])
            known |= {told.name + ending for ending in endings}
    return known


def unknown_series(expression: str) -> list[str]:
    named = re.findall(r"(?:\w+:)?hypercode[:_][\w:]+", expression)
    assert named, expression
    return [name for name in named if name not in known_series()]


def test_prometheus_reads_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml")


def test_rules_do_what_their_tests_say() -> None:
    promtool("test", "rules", *(str(path) for path in sorted(PROMETHEUS.glob("tests/*.yml"))))


def test_every_rule_has_a_test() -> None:
    tested = "".join(path.read_text() for path in PROMETHEUS.glob("tests/*.yml"))
    alerts = [rule["alert"] for rule in rules() if "alert" in rule]
    # Once silent, once firing.
    assert {name: len(re.findall(rf"alertname: {name}\n", tested)) for name in alerts} == dict.fromkeys(
        alerts, 2
    )
    assert [rule["record"] for rule in rules() if "record" in rule and rule["record"] not in tested] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_series_that_exist(rule: dict[str, Any]) -> None:
    assert unknown_series(rule["expr"]) == []


def test_every_process_is_scraped() -> None:
    configured = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    processes = {job["relabel_configs"][0]["replacement"] for job in configured}
    assert processes == {"gateway", "worker", "tools", "sandboxd", "verifier"}
