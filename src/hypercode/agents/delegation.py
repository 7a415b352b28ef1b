"""What an Architect has handed on: which plan items, to which runs, and which of them have reported."""

from typing import cast

from hypercode.agents.intent import ChildEnded, ToolOutcome
from hypercode.llm.base import RequestedCall
from hypercode.mcp_protocol.quoting import wrapped


class Delegation:
    """Reads ``plan_submit`` and ``task_delegate`` as they go by; an agent that calls neither has nothing open."""

    def __init__(self) -> None:
        self._items: set[str] = set()
        self._delegated: dict[str, str] = {}
        self._reported: set[str] = set()

    @property
    def open_runs(self) -> list[str]:
        """Runs that have not reported yet, in the order they were handed out."""
        return [run_id for run_id in self._delegated if run_id not in self._reported]

    @property
    def complete(self) -> bool:
        """True when every item of the plan is handed out and somebody still works on one."""
        return bool(self.open_runs) and self._items <= set(self._delegated.values())

    def saw(self, call: RequestedCall, outcome: ToolOutcome) -> None:
        if not outcome.ok:
            return
        if call.tool == "plan_submit":
            self._items = _item_ids(call.arguments.get("items"))
        elif call.tool == "task_delegate" and isinstance(run_id := outcome.data.get("run_id"), str):
            self._delegated[run_id] = str(call.arguments.get("item_id", ""))

    def report(self, children: list[ChildEnded]) -> str:
        """The children's results as a message; what they say of themselves is data."""
        self._reported.update(child.run_id for child in children)
        parts = ["The delegated runs have ended:"]
        for child in children:
            item = self._delegated.get(child.run_id, "")
            proof = f", proof: {child.proof}" if child.proof else ""
            parts.append(f"- item {item} ({child.run_id}): {child.status.value}{proof}")
            if child.summary.strip():
                parts.append(wrapped(f"summary of {item}", child.summary))
        return "\n".join(parts)


def _item_ids(items: object) -> set[str]:
    if not isinstance(items, list):
        return set()
    ids: set[str] = set()
    for item in cast("list[object]", items):
        if isinstance(item, dict):
            ids.add(str(cast("dict[str, object]", item).get("id", "")))
    return ids
