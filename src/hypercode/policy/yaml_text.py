"""YAML as plain data, and the line of each part. Only what JSON can say too: no aliases, no tags, no surprises."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 12
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast."""

Place = tuple[str | int, ...]
Plain = dict[str, "Plain"] | list["Plain"] | str | int | bool


class YamlFault(Exception):
    """The text is not YAML that we take; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_yaml(text: str) -> tuple[Plain, dict[Place, int]]:
    """Return the data and the line of each place in it; raises YamlFault."""
    if len(text) > MAX_CHARACTERS:
        raise YamlFault(1, f"the text is longer than {MAX_CHARACTERS} characters")
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlFault(line, f"not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise YamlFault(line, "not YAML: a character that YAML does not have") from None
    except UnicodeEncodeError:
        raise YamlFault(1, "not YAML: half of a character") from None
    if node is None:
        raise YamlFault(1, "the text is empty")
    lines: dict[Place, int] = {}
    return _plain(node, (), lines), lines


def _check_events(text: str) -> None:
    """Refuse what makes YAML more than plain data, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = (event.start_mark.line if event.start_mark else 0) + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise YamlFault(line, "anchors and aliases are not taken: write it out")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            raise YamlFault(line, "tags are not taken")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlFault(line, f"it is nested deeper than {MAX_DEPTH} levels")


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int]) -> Plain:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return {key: _plain(value, (*place, key), lines) for key, value in _entries(node, place, lines)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, number), lines) for number, item in enumerate(node.value)]
    return _scalar(node)


def _entries(
    node: yaml.MappingNode, place: Place, lines: dict[Place, int]
) -> Iterator[tuple[str, yaml.Node]]:
    seen: set[str] = set()
    for key_node, value in node.value:
        key, line = _scalar(key_node), key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise YamlFault(line, f"the key {key_node.value!r} is no text: put it in quotes")
        if key in seen:
            raise YamlFault(line, f"the key {key!r} stands there twice")
        seen.add(key)
        lines[*place, key] = line
        yield key, value


def _scalar(node: yaml.Node) -> str | int | bool:
    """Text, a whole number, true or false. What YAML reads otherwise (``no``, ``1e3``, a date) needs quotes."""
    kind, value, line = node.tag.rpartition(":")[2], node.value, node.start_mark.line + 1
    if kind == "str":
        return value
    if kind == "bool" and value in ("true", "false"):
        return value == "true"
    if kind == "int" and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value):
        return int(value)
    if kind == "null":
        # An empty matcher would match every call.
        raise YamlFault(line, "nothing stands here: give a value, or leave the field out")
    raise YamlFault(line, f"{value!r} can be read in two ways: put it in quotes")
