"""The dashboards are what their generator writes, and ask only for series that exist."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.grafana.generate import ALL, FOLDER, generated
from tests.deploy.test_prometheus import unknown_series

PROVISIONING = FOLDER.parent / "provisioning"


def test_generating_changes_nothing() -> None:
    assert {path: path.read_text() for path in sorted(FOLDER.iterdir())} == generated(), (
        "run `make dashboards`"
    )


@pytest.mark.parametrize("name", ALL)
def test_a_dashboard_is_whole(name: str) -> None:
    dashboard: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            if "process_" not in target["expr"].replace("hypercode_process_", ""):
                assert unknown_series(target["expr"]) == [], panel["title"]


def test_what_is_provisioned_is_there() -> None:
    source = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "hypercode.yml").read_text())["providers"][0]
    assert Path(provider["options"]["path"]).name == FOLDER.name
