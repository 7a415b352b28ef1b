"""Notices an agent that goes round in circles: the same call with the same result, nothing new in between."""

import json
import re
from collections import Counter
from hashlib import sha256

from hypercode.agents.intent import ToolOutcome
from hypercode.llm.base import RequestedCall

READ_ONLY = frozenset(
    {
        "fs_read",
        "fs_search",
        "fs_tree",
        "git_status",
        "git_diff",
        "plan_status",
        "sh_read",
        "sh_list",
        "resource_read",
        "resource_list",
        "test_discover",
    }
)
LOOKING = READ_ONLY | {"test_run", "repair_failing_test", "lint_run", "type_check"}
NUDGE_AT = 3
STUCK_AT = 5

_DURATION = re.compile(r"\b\d+(\.\d+)?\s*(ms|s|seconds)\b")


class CircleWatch:
    """Counts equal (tool, arguments, result) triples. A new call that may change something starts the count anew."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._counts: Counter[str] = Counter()

    def saw(self, call: RequestedCall, outcome: ToolOutcome) -> int:
        """How often this very triple has come by since something new was tried."""
        triple = _digest(call, outcome)
        if outcome.ok and call.tool not in LOOKING and triple not in self._seen:
            self._counts.clear()
        self._seen.add(triple)
        self._counts[triple] += 1
        return self._counts[triple]


def nudge(call: RequestedCall) -> str:
    return (
        f"You have now called {call.tool} {NUDGE_AT} times with the same arguments and the same result. "
        "Doing it again will change nothing. Say in one sentence what you learned from it, then try another way."
    )


def evidence(call: RequestedCall, outcome: ToolOutcome) -> str:
    arguments = json.dumps(call.arguments, ensure_ascii=False, sort_keys=True)[:500]
    return (
        f"The agent is going round in circles: it called {call.tool} {STUCK_AT} times with the same arguments "
        f"and the same result.\nArguments: {arguments}\nResult: {outcome.text[:500]}\n"
        "A hint on how to go on, or a smaller task, would help."
    )


def _digest(call: RequestedCall, outcome: ToolOutcome) -> str:
    text = _DURATION.sub("#", outcome.text)
    triple = json.dumps([call.tool, call.arguments, outcome.code, text], sort_keys=True)
    return sha256(triple.encode()).hexdigest()
