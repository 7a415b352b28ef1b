"""The forms that a client shows its person, and what is read from them. What comes back is data."""

from typing import Any

from mcp import types
from pydantic import ValidationError

from hypercode.domain.approval import Decision
from hypercode.domain.preview import visible
from hypercode.domain.question import MAX_ANSWER, Answer
from hypercode.store.approvals import to_domain
from hypercode.store.tables import ApprovalRow, QuestionRow

_NOTE = 2000


def approval_form(row: ApprovalRow) -> types.ElicitRequest:
    """The exact call, and the choice; nothing is chosen beforehand."""
    fields = {
        "decision": {"type": "string", "title": "Decision", "enum": ["approve", "deny"]},
        "note": {
            "type": "string",
            "title": "Note",
            "description": "The agent reads it too.",
            "maxLength": _NOTE,
        },
    }
    return _form(f"An agent asks to make this call, once.\n{_shown(row)}", fields, ["decision"])


def waiting_form(row: ApprovalRow, why: str) -> types.ElicitRequest:
    """Nothing to decide here: accepting means to look again, declining to wait no longer."""
    words = f"A person has to approve this call first. They are asked in HyperCode.\n{_shown(row)}"
    ways = "Accept to look whether they have decided; decline to stop waiting."
    return _form("\n\n".join(filter(None, (words, why, ways))), {}, [])


def question_form(row: QuestionRow) -> types.ElicitRequest:
    """The question, its options, and a field for one's own words."""
    words = {"type": "string", "title": "Answer", "maxLength": MAX_ANSWER}
    options = [visible(str(option)) for option in row.options]
    message = f"An agent asks:\n{visible(row.question)}"
    if not options:
        return _form(message, {"answer": words}, ["answer"])
    choice = {"type": "string", "title": "Options", "enum": options}
    return _form(message, {"choice": choice, "answer": {**words, "title": "Or in your own words"}}, [])


def decision_of(content: dict[str, Any]) -> Decision | None:
    """What a person chose in ``approval_form``; None for anything but a clear choice."""
    try:
        return Decision(decision=content["decision"], note=content.get("note") or "")
    except (KeyError, ValidationError):
        return None


def answer_of(content: dict[str, Any]) -> Answer | None:
    """What was written in ``question_form``; one's own words count before an option."""
    for field in ("answer", "choice"):
        try:
            return Answer(answer=content[field])
        except (KeyError, ValidationError):
            continue
    return None


def _shown(row: ApprovalRow) -> str:
    return f"{row.reason} (rule {row.rule})\n\n{row.tool}\n{to_domain(row).preview.text}"


def _form(message: str, fields: dict[str, Any], required: list[str]) -> types.ElicitRequest:
    schema = {"type": "object", "properties": fields, "required": required}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))
