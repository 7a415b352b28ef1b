"""The Compose file and the Dockerfiles, without starting anything."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
BIN = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\{([A-Z_]+)")
ENGINE = "/var/run/docker.sock"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Every service as Compose itself reads the file, with the settings of .env.example."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [BIN / "docker-compose", "--env-file", ".env.example", "--profile", "small", "--profile", "full",
         "config", "--format", "json"],
        cwd=COMPOSE, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout)["services"]


@pytest.mark.parametrize("command", [
    ["compose-lint", "check", "compose.yaml", "--config", ".compose-lint.yml", "--fail-on", "low"],
    ["hadolint", *sorted(str(path) for path in (ROOT / "deploy" / "images").rglob("*Dockerfile"))],
], ids=["compose-lint", "hadolint"])  # fmt: skip
def test_linters_are_content(command: list[str]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=COMPOSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_is_in_the_example_and_explained() -> None:
    used = set(VARIABLE.findall((COMPOSE / "compose.yaml").read_text()))
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    named = [line.partition("=")[0] for line in lines if re.match(r"[A-Z_]+=", line)]
    assert set(named) - {"COMPOSE_PROFILES"} == used
    for number, line in enumerate(lines):
        if re.match(r"[A-Z_]+=", line):
            paragraph = [*lines[:number]]
            while paragraph and re.match(r"[A-Z_]+=", paragraph[-1]):
                paragraph.pop()
            assert paragraph, line
            assert paragraph[-1].startswith("#"), f"{line} has no comment"


def test_who_holds_the_engine_and_the_keys(services: dict[str, Any]) -> None:
    """Default deny, read from the file itself: one holder of the engine, each key where it is used."""
    engine = {
        name for name, service in services.items()
        if any(mount["target"] == ENGINE for mount in service.get("volumes", []))
    }  # fmt: skip
    assert engine == {"sandboxd"}
    holders: dict[str, set[str]] = {}
    for name, service in services.items():
        for secret in service.get("secrets", []):
            holders.setdefault(secret["source"], set()).add(name.partition("-")[0])
    assert holders == {
        "postgres_password": {"postgres"},
        "grafana_password": {"grafana"},
        "hypercode_database_url": {"gateway", "worker", "tools", "verifier", "migrate"},
        "hypercode_llm": {"worker"},
        "grant.key": {"gateway"},
        "grant.pub": {"tools"},
        "platform.key": {"worker", "tools"},
        "preview.key": {"gateway", "tools"},
        "verification.key": {"worker", "verifier"},
        "verifier.key": {"verifier", "tools"},
        "sandboxd.key": {"tools", "sandboxd"},
        "attestation.key": {"verifier"},
        "secrets.key": {"tools"},
        "secrets.pub": {"gateway"},
    }


def test_every_service_is_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert int(service["mem_limit"]) <= 1 << 30, name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name


def test_prometheus_scrapes_services_that_are_there(services: dict[str, Any]) -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    names = {name for job in jobs for config in job["dns_sd_configs"] for name in config["names"]}
    assert names <= set(services)
    assert {"gateway", "worker-architect", "worker-coder", "tools", "sandboxd", "verifier"} <= names
    for name in names:
        shared = set(services[name]["networks"]) & set(services["prometheus"]["networks"])
        assert len(shared) == 1, name
