import subprocess
import sys
from pathlib import Path

import pytest

from hypercode.domain.errors import InvalidArgument
from hypercode.llm.builtin import RepairModel
from hypercode.llm.models import extra, resolve
from hypercode.llm.scripted import ScriptedModel
from hypercode.settings import LlmSettings


def test_names_mean_models(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("turns: [{say: hi}]", encoding="utf-8")
    assert isinstance(resolve("builtin/repair", LlmSettings()), RepairModel)
    assert isinstance(resolve("scripted:a.yaml", LlmSettings(), scripts_from=tmp_path), ScriptedModel)
    assert isinstance(resolve(f"scripted:{tmp_path}/a.yaml", LlmSettings()), ScriptedModel)


@pytest.mark.parametrize("name", ["", "gpt-5", "openai:", "scripted:", "bedrock:x", "builtin/other"])
def test_other_names_are_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        resolve(name, LlmSettings())
    assert "openai-compatible:<name>" in refused.value.hint


def test_each_provider_names_the_extra_that_brings_it() -> None:
    assert [extra(name) for name in ("openai", "ollama", "anthropic", "google")] == [
        "openai",
        "openai",
        "anthropic",
        "google",
    ]


def test_models_without_a_provider_load_no_provider_library() -> None:
    code = (
        "import sys, hypercode.llm.models as m; from hypercode.settings import LlmSettings;"
        "m.resolve('builtin/repair', LlmSettings());"
        "print([n for n in ('pydantic_ai', 'openai', 'anthropic') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_library_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from hypercode.domain.errors import ModelFailed\n"
        "from hypercode.llm.models import resolve\n"
        "from hypercode.settings import LlmSettings\n"
        "try: resolve('ollama:x', LlmSettings())\n"
        "except ModelFailed as failed: print(failed.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "pip install 'hypercode-platform[openai]'"
