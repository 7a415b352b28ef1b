"""API tokens: a person's keys for programs. Only hashes are kept."""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import NotFound
from hypercode.domain.ids import new_id
from hypercode.store.tables import ApiTokenRow, UserRow
from hypercode.store.users import get_user, sha256_hex

PREFIX = "hc_"
# Writing "last used" on every call would make every read a write.
USE_RESOLUTION = timedelta(minutes=1)


async def issue_token(session: AsyncSession, user_id: str, name: str) -> tuple[str, ApiTokenRow]:
    """Make a token; the secret is returned here and never again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiTokenRow(
        id=new_id("api_token"),
        user_id=user_id,
        name=name,
        token_sha256=sha256_hex(secret),
        created_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    return secret, row


async def create_token(session: AsyncSession, user_id: str, name: str) -> str:
    """Make a token and return its secret."""
    secret, _ = await issue_token(session, user_id, name)
    return secret


async def find_token_user(session: AsyncSession, secret: str) -> UserRow | None:
    """Return whose live token this is; None when it is unknown or revoked."""
    row = await session.scalar(
        select(ApiTokenRow).where(
            ApiTokenRow.token_sha256 == sha256_hex(secret), ApiTokenRow.revoked_at.is_(None)
        )
    )
    if row is None:
        return None
    now = datetime.now(UTC)
    if row.last_used_at is None or now - row.last_used_at > USE_RESOLUTION:
        row.last_used_at = now
    return await get_user(session, row.user_id)


async def tokens_of(session: AsyncSession, user_id: str) -> list[ApiTokenRow]:
    """Return a user's live tokens, newest first."""
    rows = await session.scalars(
        select(ApiTokenRow)
        .where(ApiTokenRow.user_id == user_id, ApiTokenRow.revoked_at.is_(None))
        .order_by(ApiTokenRow.created_at.desc())
    )
    return list(rows)


async def revoke_token(session: AsyncSession, user_id: str, token_id: str) -> None:
    row = await session.get(ApiTokenRow, token_id)
    if row is None or row.user_id != user_id or row.revoked_at is not None:
        raise NotFound(f"You have no API token {token_id}.")
    row.revoked_at = datetime.now(UTC)
