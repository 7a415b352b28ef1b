"""The reference of metrics names every series with its type and labels, and none that is not there."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from hypercode.telemetry import metrics

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def series() -> dict[str, tuple[str, list[str]]]:
    """Type and labels of everything in telemetry/metrics.py, by the name that Prometheus shows."""
    found: dict[str, tuple[str, list[str]]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            told = next(iter(metric.describe()))
            name = f"{told.name}_total" if told.type == "counter" else told.name
            found[name] = (told.type, list(metric._labelnames))
    return found


def test_metrics_names_every_series() -> None:
    rows = re.findall(r"(?m)^\| `(hypercode_\w+)` \| (\w+) \| ([^|]*)\|", REFERENCE.read_text())
    assert {name: (type_, re.findall(r"`(\w+)`", labels)) for name, type_, labels in rows} == series()
    assert len(rows) == len(series())


def test_names_end_in_what_they_count() -> None:
    for name, (type_, _) in series().items():
        assert name.startswith("hypercode_")
        if type_ == "histogram":
            assert name.endswith("_seconds")
