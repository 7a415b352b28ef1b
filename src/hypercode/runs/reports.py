"""What a child run says of its own work, for the run that delegated it. A claim: what was shown is the proof."""

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.memory import MemoryKind
from hypercode.mcp_protocol.caps import cap_text
from hypercode.store.memories import memories_of_run

REPORT_BYTES = 8_000


async def report_of(session: AsyncSession, run_id: str) -> str:
    """Its last report with the evidence; else its hand-off, else what it said at its end."""
    for kind in (MemoryKind.RESULT, MemoryKind.HANDOFF, MemoryKind.RUN_SUMMARY):
        if memories := await memories_of_run(session, run_id, kind):
            last = memories[-1]
            lines = [last.text, *(f"- {line}" for line in last.details.get("evidence", []))]
            return cap_text("\n".join(lines), REPORT_BYTES)[0]
    return ""
