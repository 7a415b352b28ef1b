from hypercode.agents.coder import coder
from hypercode.agents.context import Context, cut, render
from hypercode.agents.contract import TaskContract
from hypercode.agents.intent import ToolOutcome
from hypercode.domain.check import Check
from hypercode.llm.base import ModelReply, RequestedCall

FACTS = [f"fact-{number}" for number in range(20)]
CONTRACT = TaskContract(
    goal=f"Goal with {FACTS[0]} and {FACTS[1]}.",
    checks=[Check(argv=["pytest", FACTS[2]])],
    base_red=FACTS[3:8],
    notes="\n".join(FACTS[8:14]),
    facts={name: name for name in FACTS[14:]},
)


def grown(context: Context, turns: int, size: int = 3000) -> Context:
    for turn in range(turns):
        call = RequestedCall(id=f"c{turn}", tool="fs_read", arguments={"path": "p" * 50})
        context.add_reply(ModelReply(text=f"thought {turn}", calls=[call], model="m"), [call])
        context.add_result(
            call, ToolOutcome(ok=True, code="OK", text=f"r{turn} " * (size // 4), data={"x": 1})
        )
    return context


def test_ten_forced_compactions_lose_no_pinned_fact_and_leave_a_legal_history() -> None:
    context = Context(coder(), CONTRACT)
    for _ in range(10):
        grown(context, 4, size=120_000)
        context.compact()
    messages = context.messages()
    assert context.compactions == 10
    assert [fact for fact in FACTS if fact not in messages[1].content] == []
    calls = [call.id for message in messages for call in message.calls]
    answers = [message.call_id for message in messages if message.role == "tool"]
    assert answers == calls
    assert sum(len(message.content) for message in messages) < 300_000


def test_a_history_is_compacted_when_it_outgrows_its_room_and_seldom() -> None:
    profile = coder().model_copy(update={"history_chars": 60_000})
    context = Context(profile, CONTRACT)
    sizes: list[int] = []
    for _ in range(200):
        grown(context, 1)
        sizes.append(sum(len(message.content) for message in context.messages()[2:]))
    assert max(sizes) <= 60_000
    assert 3 < context.compactions < 40
    # The newest results are whole.
    newest = [message for message in context.messages() if message.role == "tool"][-3:]
    assert all(len(message.content) > 2000 for message in newest)


def test_stubs_say_how_to_get_the_result_back() -> None:
    profile = coder().model_copy(update={"history_chars": 25_000})
    context = grown(Context(profile, CONTRACT), 30, size=1000)
    tools = [message for message in context.messages() if message.role == "tool"]
    assert "fs_read was left out" in tools[0].content
    assert tools[0].data is None
    assert tools[-1].data == {"x": 1}


def test_long_results_keep_head_and_tail() -> None:
    text = "H" * 50_000 + "middle" + "T" * 50_000
    short = cut(text, 1000)
    assert short.startswith("H" * 600)
    assert short.endswith("T" * 400)
    assert "99006 characters left out" in short
    assert cut("abc", 3) == "abc"


def test_errors_start_with_their_code() -> None:
    assert render(ToolOutcome(ok=False, code="NOT_FOUND", text="no file")) == "NOT_FOUND: no file"
    assert render(ToolOutcome(ok=False, code="NOT_FOUND", text="NOT_FOUND: no file")) == "NOT_FOUND: no file"
    assert render(ToolOutcome(ok=True, code="OK", text="")) == "(no output)"
