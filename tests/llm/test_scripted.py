from pathlib import Path

import anyio
import pytest

from hypercode.domain.errors import InvalidArgument
from hypercode.llm.base import Message, ModelReply, ModelRequest, ToolSpec
from hypercode.llm.scripted import ScriptedModel, load_script, parse_script

pytestmark = pytest.mark.anyio

TEAM = """
runs:
  architect:
    turns: [{say: plan}]
  coder:
    - match: greeting
      turns: [{say: hello, calls: [{tool: fs_read, arguments: {path: a}}, {tool: git_diff}]}]
    - turns: [{say: anything}]
"""


async def ask(script: str, *, turn: int = 1, goal: str = "", tools: tuple[str, ...] = ()) -> ModelReply:
    request = ModelRequest(
        model="scripted:x",
        messages=[Message(role="user", content=f"# Task\n{goal}\n\nAn earlier run said: greeting")],
        tools=[ToolSpec(name=name, description="", parameters={}) for name in tools],
        run_key=f"coder:{goal}",
        turn=turn,
    )
    with anyio.fail_after(5):
        return await ScriptedModel(parse_script(script, "x.yaml")).complete(request)


async def test_the_turn_alone_decides_the_answer() -> None:
    script = "turns: [{say: one}, {say: two, calls: [{tool: test_run}], delay_s: 0.001}]"
    second = await ask(script, turn=2)
    assert (second.text, second.calls[0].tool, second.calls[0].arguments) == ("two", "test_run", {})
    assert await ask(script, turn=2) == second
    beyond = await ask(script, turn=3)
    assert beyond.text == "Done."
    assert beyond.calls == []
    assert beyond.cost_usd == 0.0


async def test_one_file_plays_an_architect_and_its_coders() -> None:
    assert (await ask(TEAM, goal="greeting", tools=("task_delegate",))).text == "plan"
    coder = await ask(TEAM, goal="write greeting()")
    assert [call.id for call in coder.calls] == ["call_1_0", "call_1_1"]
    assert (await ask(TEAM, goal="something else")).text == "anything"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("turns:\n  - say: x\n    clls: []", "x.yaml, line 3: turns.0.clls"),
        (
            "turns:\n  - calls:\n      - tool: a\n      - arguments: {}",
            "x.yaml, line 4: turns.0.calls.1.tool",
        ),
        ("runs:\n  coder:\n    - turns:\n        - say: [1]", "x.yaml, line 4: runs.coder.0.turns.0.say"),
        ("turns:\n  - say: [", "line 2"),
        ("turns: []\nruns: {}", "either 'turns' or 'runs'"),
        ("just words", "the top level"),
    ],
)
async def test_a_bad_file_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_script(text, "x.yaml")
    assert said in refused.value.message
    assert "scripted-models.md" in refused.value.hint


async def test_the_documented_examples_are_valid() -> None:
    document = Path("docs/reference/scripted-models.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in document.split("```yaml\n")[1:]]
    assert len(examples) == 2
    for example in examples:
        parse_script(example, "example")


async def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="can't be read"):
        load_script(tmp_path / "none.yaml")
