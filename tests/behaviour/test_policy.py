"""A policy of one's own holds in a real run, and one that can't be read lets none begin."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

FROZEN = """\
name: frozen-python
version: 1
extends: built-in
roles:
  coder:
    - {id: no_python, effect: forbid, reason: Python files are frozen, groups: [writes], paths: ["**/*.py"]}
tests:
  - {role: coder, tool: fs_edit, paths: [src/a.py], expect: deny, rule: no_python}
"""


@pytest.mark.requirement("policy:file")
def test_a_policy_of_ones_own_holds_in_a_run(project: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    with tempfile.TemporaryDirectory(prefix="hc-run-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        alone = Platform(Path(directory) / "d", environment={"HYPERCODE_POLICY_FILE": str(file)})
        file.write_text(FROZEN.replace("forbid", "forbit"))
        refused = alone.run(project("inventory"), "Make the failing test pass.")
        assert (refused.exit_code, refused.last["code"]) == (2, "INVALID_POLICY")
        assert f"{file}: line 6: roles.coder.0.effect: " in refused.last["message"]
        assert not (alone.data_dir / "postgres").exists()
        file.write_text(FROZEN)
        assert alone.command("policy", "test", str(file)).returncode == 0
        assert "frozen-python version 1" in alone.command("doctor", "--json").stdout
        outcome = alone.run(tmp_path / "inventory", "Make the failing test pass.")
    denied = [call for call in outcome.of("tool_call.completed") if not call["ok"]]
    assert [call["tool"] for call in denied] == ["fs_edit"]
    assert "POLICY_DENIED: Python files are frozen (rule no_python)" in json.dumps(denied)
    assert (outcome.exit_code, outcome.finished["proof"], outcome.finished["diff"]) == (1, "unproved", "")
