"""The agent, on one page: ask the model, call the tools it asks for, give it the results, until it is done.

A pure generator: it yields intents and is sent their results. No I/O, no clock, no chance, so the executor
can replay it from stored results after a crash and come to the same place.
"""

from collections.abc import Generator
from typing import TypeVar

from hypercode.agents.context import Context
from hypercode.agents.contract import TaskContract
from hypercode.agents.delegation import Delegation
from hypercode.agents.intent import (
    CallModel,
    CallTools,
    ChildrenEnded,
    Finish,
    Intent,
    IntentResult,
    ModelAnswer,
    ToolOutcome,
    ToolsDone,
    WaitForChildren,
)
from hypercode.agents.profile import AgentProfile
from hypercode.agents.stuck import NUDGE_AT, READ_ONLY, STUCK_AT, CircleWatch, evidence, nudge
from hypercode.domain.run import Ending
from hypercode.llm.base import ModelReply, RequestedCall, ToolSpec

MAX_FORMAT_ERRORS = 3
ASKS = "NEEDS INPUT:"

Steps = Generator[Intent, IntentResult, None]
R = TypeVar("R", ModelReply, ToolsDone, ChildrenEnded)


class Ended(Exception):
    """The loop is over, for this reason and with these words."""

    def __init__(self, ending: Ending, summary: str) -> None:
        super().__init__(summary)
        self.finish = Finish(ending=ending, summary=summary)


def agent_loop(contract: TaskContract, tools: list[ToolSpec], profile: AgentProfile) -> Steps:
    """Work on the contract; the last intent is always ``Finish``."""
    agent = _Agent(contract, tools, profile)
    try:
        while True:
            yield from agent.turn()
    except Ended as ended:
        yield ended.finish


class _Agent:
    """What the loop remembers between turns."""

    def __init__(self, contract: TaskContract, tools: list[ToolSpec], profile: AgentProfile) -> None:
        self.context = Context(profile, contract)
        self.delegation = Delegation()
        self.watch = CircleWatch()
        self.tools = tools
        self.names = {tool.name for tool in tools}
        self.turns = 0
        self.format_errors = 0
        self.interrupted = False
        self.used_ids: set[str] = set()

    def turn(self) -> Steps:
        """One model call and the tool calls it asks for."""
        if self.delegation.complete and not self.interrupted:
            yield from self.children()
        self.interrupted = False
        self.turns += 1
        intent = CallModel(
            messages=self.context.messages(),
            tools=self.tools,
            turn=self.turns,
            may_end=not self.delegation.open_runs,
        )
        reply = _expect(ModelReply, (yield intent))
        before, after = (reply.before, reply.after) if isinstance(reply, ModelAnswer) else ([], [])
        self.hear(before)
        calls = self.own_ids(reply.calls)
        self.context.add_reply(reply, calls)
        if calls:
            yield from self.act(calls)
        elif after:
            self.hear(after)
        else:
            yield from self.rest(reply.text)

    def hear(self, words: list[str]) -> None:
        """What a person said; circles from before it are none any more."""
        for text in words:
            self.context.add_person(text)
        if words:
            self.watch = CircleWatch()

    def act(self, calls: list[RequestedCall]) -> Steps:
        """Call the tools; every call is answered, the ones that can't be called with what is wrong with them."""
        faults = {call.id: fault for call in calls if (fault := self.fault(call))}
        good = [call for call in calls if call.id not in faults]
        outcomes: dict[str, ToolOutcome] = {}
        if good:
            parallel = len(good) > 1 and all(call.tool in READ_ONLY for call in good)
            done = _expect(ToolsDone, (yield CallTools(calls=good, parallel=parallel)))
            outcomes = {call.id: outcome for call, outcome in zip(good, done.outcomes, strict=True)}
        for call in calls:
            self.context.add_result(call, outcomes.get(call.id) or _refusal(faults[call.id]))
        self.format_errors = 0 if good else self.format_errors + 1
        if self.format_errors > MAX_FORMAT_ERRORS:
            raise Ended(Ending.FAILED, f"The model's tool calls can't be used: {next(iter(faults.values()))}")
        for call in good:
            self.delegation.saw(call, outcomes[call.id])
            self.look_out_for_circles(call, outcomes[call.id])

    def rest(self, text: str) -> Steps:
        """The model asks for nothing: it waits for its children, has a question, is done, or said nothing."""
        if self.delegation.open_runs:
            yield from self.children()
        elif text.strip().startswith(ASKS):
            raise Ended(Ending.NEEDS_INPUT, text.strip().removeprefix(ASKS).strip())
        elif text.strip():
            raise Ended(Ending.FINISHED, text.strip())
        else:
            self.format_errors += 1
            if self.format_errors > MAX_FORMAT_ERRORS:
                raise Ended(Ending.FAILED, "The model answered with nothing, again and again.")
            self.context.add_note("Your reply was empty. Call a tool, or end with a short summary.")

    def children(self) -> Steps:
        """Wait for the delegated runs and tell the model how they ended."""
        waited = _expect(ChildrenEnded, (yield WaitForChildren(run_ids=self.delegation.open_runs)))
        self.interrupted = waited.interrupted
        if waited.children:
            self.context.add_note(self.delegation.report(waited.children))

    def fault(self, call: RequestedCall) -> str:
        """What is wrong with a call before any tool has seen it, or nothing."""
        if call.tool not in self.names:
            return f"There is no tool {call.tool!r}. The tools are: {', '.join(sorted(self.names))}."
        if call.malformed:
            return f"The arguments of {call.tool} are no JSON object: {call.malformed}. Send the call again."
        return ""

    def own_ids(self, calls: list[RequestedCall]) -> list[RequestedCall]:
        """Calls whose id is missing or was used before get one of ours: an id names one call of the run."""
        owned: list[RequestedCall] = []
        for index, call in enumerate(calls):
            fresh = bool(call.id) and call.id not in self.used_ids
            own = call if fresh else call.model_copy(update={"id": f"call_{self.turns}_{index}"})
            self.used_ids.add(own.id)
            owned.append(own)
        return owned

    def look_out_for_circles(self, call: RequestedCall, outcome: ToolOutcome) -> None:
        times = self.watch.saw(call, outcome)
        if times == NUDGE_AT:
            self.context.add_note(nudge(call))
        elif times >= STUCK_AT:
            raise Ended(Ending.NEEDS_INPUT, evidence(call, outcome))


def _refusal(fault: str) -> ToolOutcome:
    return ToolOutcome(ok=False, code="INVALID_ARGUMENT", text=fault)


def _expect(kind: type[R], result: IntentResult) -> R:
    if not isinstance(result, kind):
        raise TypeError(f"the executor answered with {type(result).__name__}, {kind.__name__} was due")
    return result
