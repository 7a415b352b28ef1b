"""The reference documents name everything there is, and nothing there is not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from hypercode.cli.__main__ import COMMANDS, app
from hypercode.domain.errors import HyperCodeError
from hypercode.domain.event import PAYLOADS
from hypercode.settings import Settings
from hypercode.store.channels import CHANNELS, redis_channel
from hypercode.store.redis_keys import CHANGED_S, KEYS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
OWN_DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def sections(document: str, mark: str) -> dict[str, str]:
    """The text under each heading that is one name in backticks, by that name."""
    text = (REFERENCE / document).read_text()
    parts = re.split(rf"(?m)^{mark} `([^`]+)`$", text)
    end = re.compile(rf"(?m)^#{{1,{len(mark)}}} ")
    return {name: end.split(body)[0] for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def test_settings_names_every_variable() -> None:
    named = re.findall(r"(?m)^\| `(HYPERCODE_\w+)` \|", (REFERENCE / "settings.md").read_text())
    assert sorted(named) == sorted(variables(Settings, "HYPERCODE_"))


def test_events_names_every_type_and_its_fields() -> None:
    described = sections("events.md", "###")
    assert sorted(described) == sorted(PAYLOADS)
    for type_, payload in PAYLOADS.items():
        named = re.findall(r"(?m)^\| `(\w+)` \|", described[type_])
        assert named == list(payload.model_fields), type_


def parameters(name: str) -> list[Any]:
    root: Any = typer.main.get_command(app)
    command = root.get_command(None, name)
    if not isinstance(command, TyperGroup):
        return command.params
    group: Any = command
    verbs = [group.get_command(None, verb) for verb in group.list_commands(None)]
    return [parameter for verb in verbs for parameter in verb.params]


@pytest.mark.parametrize("name", COMMANDS)
def test_cli_names_every_command_and_option(name: str) -> None:
    described = sections("cli.md", "##")
    assert f"hypercode {name}" in described
    text = described[f"hypercode {name}"]
    options = [
        o for p in parameters(name) if p.param_type_name == "option" for o in p.opts + p.secondary_opts
    ]
    assert [option for option in options if option not in text] == []
    # An option that is described must be there too.
    assert set(re.findall(r"(?m)^\| `(--[a-z-]+)", text)) <= set(options)


def test_redis_names_every_key_with_its_lifetime_and_every_channel() -> None:
    text = (REFERENCE / "redis.md").read_text()
    named = dict(re.findall(r"(?m)^\| `(hypercode:\S+\*)` \| (\d+) s \|", text))
    assert named == {key.pattern: str(key.lifetime_s) for key in KEYS}
    assert f"lives {CHANGED_S} s" in text
    channels = re.findall(r"(?m)^\| `(hypercode:[a-z_]+)` \|", text)
    assert channels == [redis_channel(channel) for channel in CHANNELS]


def error_codes(error: type[HyperCodeError]) -> Iterator[str]:
    for child in error.__subclasses__():
        if child.__module__ == "hypercode.domain.errors":
            yield child.code
            yield from error_codes(child)


def test_events_names_every_error_code() -> None:
    text = (REFERENCE / "events.md").read_text()
    assert [code for code in error_codes(HyperCodeError) if f"`{code}`" not in text] == []


@pytest.mark.parametrize("document", OWN_DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"(?<!!)\[[^]]*\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (document.parent / link).exists()] == []
