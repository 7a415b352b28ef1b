"""The history that a model sees: a pinned, byte-stable beginning, then what happened, cut where it grows too long."""

import json

from hypercode.agents.contract import TaskContract
from hypercode.agents.intent import ToolOutcome
from hypercode.agents.profile import AgentProfile
from hypercode.llm.base import Message, ModelReply, RequestedCall

KEPT_RESULTS = 6
PERSON = "# From the person who gave you this task"


class Context:
    """Append-only between compactions, so that providers find the beginning in their caches."""

    def __init__(self, profile: AgentProfile, contract: TaskContract) -> None:
        self._profile = profile
        self._pinned = [
            Message(role="system", content=profile.system_prompt),
            Message(role="user", content=contract.words()),
        ]
        self._history: list[Message] = []
        self._persons: list[Message] = []
        self.compactions = 0

    def messages(self) -> list[Message]:
        """What to send now; compacts first when the history has outgrown its room."""
        if _size(self._history) > self._profile.history_chars:
            self.compact()
        return [*self._pinned, *self._history]

    def add_reply(self, reply: ModelReply, calls: list[RequestedCall]) -> None:
        self._history.append(Message(role="assistant", content=reply.text, calls=calls, opaque=reply.opaque))

    def add_result(self, call: RequestedCall, outcome: ToolOutcome) -> None:
        text = cut(render(outcome), self._profile.result_chars)
        answer = Message(role="tool", content=text, call_id=call.id, tool=call.tool)
        self._history.append(answer.model_copy(update={"failed": not outcome.ok, "data": outcome.data}))

    def add_note(self, text: str) -> None:
        self._history.append(Message(role="user", content=text))

    def add_person(self, text: str) -> None:
        """What a person said counts like the task: it outlives the turns around it."""
        message = person_message(text)
        self._persons.append(message)
        self._history.append(message)

    def compact(self) -> None:
        """Shorten older tool results to stubs; then, if need be, leave out whole turns from the beginning.

        It goes down to half the room, so that the next ones are far apart. The pinned part is never touched.
        """
        self.compactions += 1
        target = self._profile.history_chars // 2
        results = [index for index, message in enumerate(self._history) if message.role == "tool"]
        for index in results[:-KEPT_RESULTS]:
            if _size(self._history) <= target:
                return
            self._history[index] = _stub(self._history[index])
        while _size(self._history) > target and self._drop_oldest_turn():
            pass

    def _drop_oldest_turn(self) -> bool:
        """Leave out the oldest reply with all that answers it; never the last one."""
        replies = [index for index, message in enumerate(self._history) if message.role == "assistant"]
        if len(replies) < 2:
            return False
        gap = Message(role="user", content="(Earlier turns were left out here to save room.)")
        kept = [
            message for message in self._history[: replies[1]] if any(message is p for p in self._persons)
        ]
        self._history[: replies[1]] = [gap, *kept]
        return True


def person_message(text: str) -> Message:
    """What a person said while the agent worked, as the model reads it: trusted like the task itself."""
    return Message(role="user", content=f"{PERSON}\n{text}")


def render(outcome: ToolOutcome) -> str:
    """A result as a language model reads it: the tool's text, with the code before it when it failed."""
    text = outcome.text.strip("\n") or "(no output)"
    return text if outcome.ok or text.startswith(outcome.code) else f"{outcome.code}: {text}"


def cut(text: str, limit: int) -> str:
    """The head and the tail of a text that is longer than the limit, with a word on what is missing."""
    if len(text) <= limit:
        return text
    head = limit * 3 // 5
    tail = limit - head
    missing = len(text) - limit
    return f"{text[:head]}\n[... {missing} characters left out ...]\n{text[-tail:]}"


def _stub(message: Message) -> Message:
    words = f"(The result of {message.tool} was left out to save room. Call it again if you need it.)"
    if len(message.content) <= len(words):
        return message
    return message.model_copy(update={"content": words, "data": None})


def _size(messages: list[Message]) -> int:
    return sum(len(m.content) + len(m.opaque) + sum(_call_size(call) for call in m.calls) for m in messages)


def _call_size(call: RequestedCall) -> int:
    return len(json.dumps(call.arguments, ensure_ascii=False)) + len(call.tool)
