"""People, their organisation, and their sign-ins in the database."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, NotFound, Unauthenticated
from hypercode.domain.ids import new_id
from hypercode.domain.role import PersonRole
from hypercode.domain.user import User
from hypercode.store import cache
from hypercode.store.redis_keys import SESSION
from hypercode.store.tables import InstanceRow, OrganisationRow, UserRow, UserSessionRow

SETUP_TOKEN_KEY = "setup_token"
SESSION_LIFETIME = timedelta(days=14)
LOCAL_EMAIL = "local@localhost"
# Without a password: a row with this hash can never sign in.
NO_PASSWORD = ""


def sha256_hex(secret: str) -> str:
    """Hash a random token; fast on purpose, since 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def admin_exists(session: AsyncSession) -> bool:
    """True when someone can sign in as admin; the local user of ``hypercode run`` can't."""
    count = await session.scalar(
        select(func.count())
        .select_from(UserRow)
        .where(UserRow.role == PersonRole.ADMIN.value, UserRow.password_hash != NO_PASSWORD)
    )
    return bool(count)


async def ensure_setup_token(session: AsyncSession) -> str | None:
    """Make a fresh one-time token for the first-run link; None when an admin exists. Only its hash is kept."""
    if await admin_exists(session):
        return None
    token = secrets.token_urlsafe(32)
    await session.merge(InstanceRow(key=SETUP_TOKEN_KEY, value={"sha256": sha256_hex(token)}))
    await session.flush()
    return token


async def create_first_admin(
    session: AsyncSession, *, token: str, email: str, name: str, password_hash: str
) -> UserRow:
    """Consume the setup token, and make the admin (and the organisation, when there is none yet)."""
    row = await session.get(InstanceRow, SETUP_TOKEN_KEY, with_for_update=True)
    if await admin_exists(session):
        raise Conflict("This instance is set up already.", hint="Sign in instead.")
    if row is None or not hmac.compare_digest(str(row.value["sha256"]), sha256_hex(token)):
        raise Unauthenticated(
            "The setup link is not valid.",
            hint="Use the newest link that `hypercode up` printed; a restart prints a fresh one.",
        )
    await session.delete(row)
    organisation = await _only_organisation(session)
    return await _create_user(session, organisation, email, name, password_hash)


async def ensure_local_user(session: AsyncSession) -> UserRow:
    """Return the passwordless user that stands for whoever runs the CLI on this machine."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('hypercode.local_user'))"))
    row = await session.scalar(select(UserRow).where(UserRow.email == LOCAL_EMAIL))
    if row is not None:
        return row
    organisation = await _only_organisation(session)
    return await _create_user(session, organisation, LOCAL_EMAIL, "local", NO_PASSWORD)


async def _only_organisation(session: AsyncSession) -> OrganisationRow:
    # The local user and the first admin share one, so that CLI runs are seen in the browser.
    row = await session.scalar(select(OrganisationRow).order_by(OrganisationRow.created_at).limit(1))
    if row is not None:
        return row
    row = OrganisationRow(id=new_id("organisation"), name="local", created_at=datetime.now(UTC))
    session.add(row)
    await session.flush()
    return row


async def _create_user(
    session: AsyncSession, organisation: OrganisationRow, email: str, name: str, password_hash: str
) -> UserRow:
    row = UserRow(
        id=new_id("user"),
        organisation_id=organisation.id,
        email=email,
        name=name,
        role=PersonRole.ADMIN.value,
        password_hash=password_hash,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    return row


async def get_user(session: AsyncSession, user_id: str) -> UserRow:
    row = await session.get(UserRow, user_id)
    if row is None:
        raise NotFound(f"There is no user {user_id}.")
    return row


async def names_of(session: AsyncSession, user_ids: Iterable[str | None]) -> dict[str, str]:
    """The names of these people, by id."""
    rows = await session.execute(
        select(UserRow.id, UserRow.name).where(UserRow.id.in_(set(filter(None, user_ids))))
    )
    return {id_: name for id_, name in rows}


async def find_user_by_email(session: AsyncSession, email: str) -> UserRow | None:
    return await session.scalar(select(UserRow).where(UserRow.email == email))


async def open_user_session(session: AsyncSession, user: UserRow) -> tuple[str, UserSessionRow]:
    """Sign a browser in; returns the cookie's value, of which only the hash is kept, and the row."""
    now = datetime.now(UTC)
    await session.execute(delete(UserSessionRow).where(UserSessionRow.expires_at < now))
    token = secrets.token_urlsafe(32)
    row = UserSessionRow(
        token_sha256=sha256_hex(token),
        user_id=user.id,
        csrf_token=secrets.token_urlsafe(32),
        expires_at=now + SESSION_LIFETIME,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return token, row


class SignedIn(BaseModel):
    """A live session, as far as a request needs to know it."""

    model_config = ConfigDict(frozen=True)

    user: User
    csrf_token: str
    expires_at: datetime


async def find_user_session(session: AsyncSession, token: str) -> SignedIn | None:
    """Return the live session of a cookie; None when there is none. May come from the cache."""
    name = sha256_hex(token)
    known = await cache.kept(session, SESSION, name)
    signed_in = SignedIn.model_validate_json(known) if known else await _read_user_session(session, name)
    if signed_in is None or signed_in.expires_at <= datetime.now(UTC):
        return None
    if known is None:
        await cache.keep(session, SESSION, name, signed_in.model_dump_json())
    return signed_in


async def _read_user_session(session: AsyncSession, token_sha256: str) -> SignedIn | None:
    row = await session.get(UserSessionRow, token_sha256)
    if row is None:
        return None
    user = to_domain(await get_user(session, row.user_id))
    return SignedIn(user=user, csrf_token=row.csrf_token, expires_at=row.expires_at)


async def close_user_session(session: AsyncSession, token: str) -> None:
    await _close(session, UserSessionRow.token_sha256 == sha256_hex(token))


async def close_user_sessions_of(session: AsyncSession, user_id: str) -> None:
    """Sign a person out everywhere."""
    await _close(session, UserSessionRow.user_id == user_id)


async def _close(session: AsyncSession, which: ColumnElement[bool]) -> None:
    closed = await session.scalars(delete(UserSessionRow).where(which).returning(UserSessionRow.token_sha256))
    for name in closed:
        await cache.changed(session, SESSION, name)


def to_domain(row: UserRow) -> User:
    return User(
        id=row.id,
        organisation_id=row.organisation_id,
        email=row.email,
        name=row.name,
        role=PersonRole(row.role),
        created_at=row.created_at,
    )
