"""An approval: a person's word on one exact tool call, durable, single use unless they say more, and expiring."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from hypercode.domain.preview import Preview
from hypercode.domain.tool_call import Touched


class ApprovalState(StrEnum):
    """Where an approval stands. Only ``approved`` lets a call pass."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"
    WITHDRAWN = "withdrawn"


class ApprovalScope(StrEnum):
    """What a person approves: this call once, its like for this task, or its like in this project."""

    ONCE = "once"
    TASK = "task"
    RULE = "rule"


class Decision(BaseModel):
    """What a person decides; ``scope`` says how far an approval reaches, ``note`` is read by the agent too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "deny"]
    scope: ApprovalScope = ApprovalScope.ONCE
    note: Annotated[str, StringConstraints(max_length=2000)] = ""


class Approval(BaseModel):
    """An approval as the API shows it; ``preview`` is the exact call, in the form that a person reads."""

    model_config = ConfigDict(frozen=True)

    id: str
    project_id: str
    task_id: str
    run_id: str
    call_id: str
    tool: str
    preview: Preview
    rule: str
    reason: str
    touched: Touched
    state: ApprovalState
    scope: ApprovalScope | None
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str
    used_at: datetime | None


def binding_of(tool: str, arguments_sha256: str, policy_sha256: str) -> str:
    """What an approval is bound to: this tool with exactly these arguments under exactly this policy."""
    return _sha256([tool, arguments_sha256, policy_sha256])


def facts_of(touched: Touched, arguments_sha256: str) -> str:
    """What calls have to share to be alike: what they touch, whatever its size.

    What a command does is in all its arguments, and a call that names nothing has only those: they have to be the same.
    """
    facts = replace(touched, size=None)
    alike = not facts.argv and facts != Touched()
    return _sha256(asdict(facts) if alike else arguments_sha256)


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
