"""What becomes of a call that a rule wants a person to approve: it passes by their word, or they are asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.approval import ApprovalState
from hypercode.domain.errors import HyperCodeError, PolicyDenied, TooLarge
from hypercode.domain.event import ApprovalRequested
from hypercode.domain.grant import Grant
from hypercode.domain.preview import MAX_PREVIEW, preview_of
from hypercode.events import log
from hypercode.mcp_protocol.caps import storable
from hypercode.mcp_protocol.codes import PendingApproval
from hypercode.mcp_protocol.schemas import Arguments
from hypercode.policy.decide import Ask
from hypercode.store.approvals import AskedCall, request_approval, take_approval, to_domain
from hypercode.store.audit import AuditedCall
from hypercode.store.tables import ApprovalRow, RunRow


def asked_call(  # noqa: PLR0913 - all that an approval is bound to
    grant: Grant,
    call: AuditedCall,
    key: str | None,
    arguments: Arguments,
    verdict: Ask,
    *,
    policy_sha256: str,
    life: timedelta,
    redact: Callable[[Any], Any],
) -> AskedCall:
    """What a person is asked; raises TooLarge for a call that nobody would read to its end."""
    shown = storable(arguments.model_dump(mode="json"))
    if len(preview_of(call.tool, shown).text) > MAX_PREVIEW:
        raise TooLarge(
            f"a person has to approve this call (rule {verdict.rule}), and it is too long to be read",
            hint="Do it in smaller steps.",
        )
    return AskedCall(
        call=call,
        task_id=grant.task_id,
        key=key,
        arguments=shown,
        touched=arguments.touched(),
        rule=verdict.rule,
        reason=verdict.reason,
        policy_sha256=policy_sha256,
        # Nobody can use an approval that comes when the run has lost its tools.
        expires_at=min(datetime.now(UTC) + life, grant.expires_at),
        redact=redact,
    )


async def ask(session: AsyncSession, run: RunRow, asked: AskedCall) -> ApprovalRow | HyperCodeError:
    """Return the approval that the call passes by, or why it does not; a new question to a person is told at once."""
    taken = await take_approval(session, asked)
    if taken is not None:
        return taken
    row, new = await request_approval(session, asked)
    if row.state == ApprovalState.DENIED.value:
        return PolicyDenied(_denied_words(row), hint="Do without it, and say so in your summary.")
    if new:
        await log.append(session, run.id, f"approval:{row.id}:requested", [_requested(row)])
    return PendingApproval(
        f"{asked.reason} (rule {asked.rule})",
        hint="They are asked now. Once they have approved it, the same call passes.",
        approval_id=row.id,
    )


def told(permit: ApprovalRow | HyperCodeError) -> dict[str, Any]:
    """What the audit's decision says of it: by which approval and person the call passes, or which one it waits for."""
    if isinstance(permit, ApprovalRow):
        return {"approval": permit.id, "approved_by": permit.decided_by, "scope": permit.scope}
    return {"approval": permit.approval_id} if isinstance(permit, PendingApproval) else {}


def _denied_words(row: ApprovalRow) -> str:
    return "a person refused this call" + (f": {row.note}" if row.note else "")


def _requested(row: ApprovalRow) -> ApprovalRequested:
    approval = to_domain(row)
    return ApprovalRequested(
        approval_id=row.id,
        call_id=approval.call_id,
        tool=row.tool,
        preview=approval.preview,
        rule=row.rule,
        reason=row.reason,
        touched=approval.touched,
        expires_at=row.expires_at,
    )
