"""What endpoints are given: the parts of this process, one transaction a request, and who calls."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from hypercode.domain.errors import PermissionDenied
from hypercode.domain.role import PersonRole
from hypercode.events.history import History
from hypercode.events.live import LiveEvents
from hypercode.gateway.attempts import SignInAttempts
from hypercode.gateway.auth import Caller, identify
from hypercode.gateway.previews import Previews
from hypercode.gateway.request_limit import RequestLimit
from hypercode.gateway.run_gauges import RunGauges
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import Database


@dataclass(frozen=True)
class Parts:
    """What the composition root made for this process."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    history: History
    live: LiveEvents
    sign_ins: SignInAttempts
    request_limit: RequestLimit
    heartbeat_s: float
    run_gauges: RunGauges
    previews: Previews


def parts_of(connection: HTTPConnection) -> Parts:
    return cast(Parts, connection.app.state.parts)


AppParts = Annotated[Parts, Depends(parts_of)]


async def _db_session(parts: AppParts) -> AsyncGenerator[AsyncSession]:
    async with parts.database.transaction() as session:
        yield session


# "function": committed before the answer goes out, so that a 2xx is a promise kept.
DbSession = Annotated[AsyncSession, Depends(_db_session, scope="function")]


async def admit(connection: HTTPConnection, session: AsyncSession) -> Caller:
    """Return the caller, whose request is counted; raises what ``identify`` raises, and RateLimited."""
    caller = await identify(connection, session)
    await parts_of(connection).request_limit.count(caller.counted_as)
    return caller


async def _caller(connection: HTTPConnection, session: DbSession) -> Caller:
    return await admit(connection, session)


CurrentCaller = Annotated[Caller, Depends(_caller)]


def require_maintainer(caller: Caller, what: str) -> None:
    if caller.user.role is PersonRole.MEMBER:
        raise PermissionDenied(
            f"Only admins and maintainers may {what}.", hint="Ask an admin of your organisation."
        )


def require_admin(caller: Caller, what: str) -> None:
    if caller.user.role is not PersonRole.ADMIN:
        raise PermissionDenied(f"Only admins may {what}.", hint="Ask an admin of your organisation.")
