"""The built-in policy names every tool that there is, holds its own table, and its form is published."""

import json
from pathlib import Path
from typing import cast

import pytest
import yaml
from jsonschema import Draft202012Validator

from hypercode.domain.errors import InvalidPolicy
from hypercode.policy.explain import run_cases
from hypercode.policy.files import BUILT_IN, BUILT_IN_CASES, BUILT_IN_TEXT, load_policy
from hypercode.policy.form import policy_schema
from hypercode.store.database import Database
from hypercode.tools.app import all_tools
from hypercode.tools.keys import PlatformKeys

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
STILL_TO_LAND = frozenset({
    "ask_user", "ctx_brief", "ctx_decision_record", "ctx_get", "ctx_handoff", "ctx_note_add",
    "ctx_search", "lint_run", "result_report",
    "secret_list", "sh_kill", "sh_list", "sh_read", "sh_start", "sh_write", "test_discover", "type_check",
})  # fmt: skip
"""Tools that have their rules before they are there. Emptied as they land; what is here and landed does no harm."""


def registered() -> set[str]:
    keys = PlatformKeys(platform="p", verifier="v", sandboxd="s", grant_public_hex="00")
    return {tool.name for tool in all_tools(cast(Database, None), keys)}


def test_every_tool_is_named_and_every_name_is_a_tool() -> None:
    assert registered() - BUILT_IN.tools == set()
    assert BUILT_IN.tools - registered() - STILL_TO_LAND == set()


def test_no_name_stands_in_two_groups() -> None:
    names = [name for group in yaml.safe_load(BUILT_IN_TEXT)["groups"].values() for name in group]
    assert len(names) == len(set(names))


def test_its_own_table_holds() -> None:
    results = run_cases(BUILT_IN_CASES, BUILT_IN)
    assert len(results) >= 15
    assert [result for result in results if not result.ok] == []


def test_the_published_schema_is_the_one_that_is_read() -> None:
    # `hypercode policy schema > docs/reference/policy.schema.json`
    assert json.loads((REFERENCE / "policy.schema.json").read_text()) == policy_schema()


def test_an_editor_that_reads_the_schema_agrees() -> None:
    schema = Draft202012Validator(policy_schema())
    policy = yaml.safe_load(BUILT_IN_TEXT)
    assert list(schema.iter_errors(policy)) == []
    rule = policy["roles"]["coder"][0]
    for broken in (
        {**policy, "when": "x"},
        {**policy, "roles": {"boss": []}},
        {**policy, "roles": {"coder": [{**rule, "effect": "maybe"}]}},
        {**policy, "roles": {"coder": [{**rule, "paths": []}]}},
        {**policy, "roles": {"coder": [{**rule, "paths": None}]}},
        {**policy, "roles": {"coder": [{**rule, "size": {"max": "1"}}]}},
    ):
        assert list(schema.iter_errors(broken)) != []


def test_the_reference_names_every_field_and_its_examples_are_policies(tmp_path: Path) -> None:
    text = (REFERENCE / "policy.md").read_text()
    definitions = [policy_schema(), *policy_schema()["$defs"].values()]
    fields = {name for each in definitions for name in each.get("properties", {})}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []
    examples = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    assert len(examples) >= 2
    for example in examples:
        (tmp_path / "p.yaml").write_text(example)
        load_policy(tmp_path / "p.yaml")


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"name: \xff")
    for path in (tmp_path / "none", tmp_path, tmp_path / "latin"):
        with pytest.raises(InvalidPolicy):
            load_policy(path)
    assert load_policy(None) is BUILT_IN
