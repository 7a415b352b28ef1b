"""A Coder on real wire formats: local servers that speak what providers speak."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.behaviour.model_server import model_server
from tests.behaviour.platform import Platform, running

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SCRIPT = {
    "turns": [
        {"say": "I run the tests.", "calls": [{"tool": "test_run", "arguments": {}}]},
        {
            "say": "I try the small fixes first.",
            "calls": [{"tool": "fs_read", "arguments": {"path": "calc.py"}}],
        },
        {
            "say": "The sign is wrong.",
            "calls": [
                {
                    "tool": "fs_edit",
                    "arguments": {"path": "calc.py", "edits": [{"old": "a - b", "new": "a + b"}]},
                }
            ],
        },
        {"say": "add() subtracted; it adds now."},
    ]
}


@pytest.fixture
def calc(tmp_path: Path) -> Path:
    repo = tmp_path / "calc"
    repo.mkdir()
    (repo / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (repo / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n"
    )
    return repo


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    script = tmp_path / "answers.yaml"
    script.write_text(json.dumps(SCRIPT))
    with model_server(script) as url:
        yield url


@pytest.mark.requirement("model:openai")
@pytest.mark.requirement("model:anthropic")
@pytest.mark.parametrize(
    ("model", "environment"),
    [
        ("openai-compatible:local", {"HYPERCODE_LLM__BASE_URL": "{url}/v1"}),
        (
            "anthropic:claude-test",
            {"HYPERCODE_LLM__BASE_URL": "{url}", "ANTHROPIC_API_KEY": "sk-canary-of-the-test"},
        ),
    ],
)
def test_a_coder_fixes_a_bug_with_a_model_on_the_wire(
    calc: Path, server: str, model: str, environment: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="hc-llm-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        values = {name: value.format(url=server) for name, value in environment.items()}
        with running(Platform(Path(directory) / "d", environment=values)) as platform:
            outcome = platform.run(calc, "Make the test pass.", model=model)
        logs = "".join(path.read_text() for path in (platform.data_dir / "logs").iterdir())
    assert (outcome.exit_code, outcome.finished["proof"]) == (0, "fixed"), (outcome.lines[-3:], logs[-3000:])
    assert outcome.finished["tokens_in"] > 0
    assert "sk-canary-of-the-test" not in logs + json.dumps(outcome.lines)
