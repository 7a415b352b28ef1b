"""Passes to previews: a one-time ticket, changed for a cookie of the preview's own address.

Both hang on the sign-in they came from, and end with it. Only their hashes are kept.
"""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.tables import PreviewPassRow, UserSessionRow
from hypercode.store.users import sha256_hex

TICKET_LIFETIME = timedelta(seconds=60)
COOKIE_LIFETIME = timedelta(hours=12)


async def make_ticket(session: AsyncSession, preview_id: str, session_sha256: str) -> str:
    """Return a ticket for one entry; what has expired goes."""
    await session.execute(delete(PreviewPassRow).where(PreviewPassRow.expires_at < datetime.now(UTC)))
    return await _make(session, "ticket", preview_id, session_sha256, TICKET_LIFETIME)


async def take_ticket(session: AsyncSession, ticket: str, preview_id: str) -> str | None:
    """Change a ticket for a cookie's value; None for one that is used up, too old, or another preview's."""
    taken = await session.scalar(
        delete(PreviewPassRow)
        .where(
            PreviewPassRow.token_sha256 == sha256_hex(ticket),
            PreviewPassRow.kind == "ticket",
            PreviewPassRow.preview_id == preview_id,
            PreviewPassRow.expires_at > datetime.now(UTC),
        )
        .returning(PreviewPassRow.session_sha256)
    )
    return None if taken is None else await _make(session, "cookie", preview_id, taken, COOKIE_LIFETIME)


async def may_enter(session: AsyncSession, cookie: str, preview_id: str) -> bool:
    """Whether a cookie opens this preview: its sign-in is alive, and it is this preview's."""
    now = datetime.now(UTC)
    found = await session.scalar(
        select(PreviewPassRow.token_sha256)
        .join(UserSessionRow, UserSessionRow.token_sha256 == PreviewPassRow.session_sha256)
        .where(
            PreviewPassRow.token_sha256 == sha256_hex(cookie),
            PreviewPassRow.kind == "cookie",
            PreviewPassRow.preview_id == preview_id,
            PreviewPassRow.expires_at > now,
            UserSessionRow.expires_at > now,
        )
    )
    return found is not None


async def _make(
    session: AsyncSession, kind: str, preview_id: str, session_sha256: str, lifetime: timedelta
) -> str:
    token = secrets.token_urlsafe(32)
    session.add(
        PreviewPassRow(
            token_sha256=sha256_hex(token),
            kind=kind,
            preview_id=preview_id,
            session_sha256=session_sha256,
            expires_at=datetime.now(UTC) + lifetime,
        )
    )
    await session.flush()
    return token
