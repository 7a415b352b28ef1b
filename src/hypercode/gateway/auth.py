"""Who calls: an API token in the Authorization header, or a signed-in browser's cookie.

A cookie is sent by the browser whoever wrote the page, so what changes something also needs the CSRF
header and an Origin of our own.
"""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.responses import Response

from hypercode.domain.errors import PermissionDenied, Unauthenticated
from hypercode.domain.user import User
from hypercode.settings import GatewaySettings
from hypercode.store.api_tokens import find_token_user
from hypercode.store.users import SESSION_LIFETIME, find_user_session, sha256_hex, to_domain

COOKIE = "hypercode_session"
CSRF_HEADER = "X-HyperCode-CSRF"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """Whoever makes the request; ``csrf_token`` is empty for API tokens, which need none.

    ``counted_as`` is whose requests are counted together: a person's, or those of one of their programs.
    """

    user: User
    csrf_token: str
    counted_as: str


async def identify(connection: HTTPConnection, session: AsyncSession) -> Caller:
    """Return the caller; raises Unauthenticated, or PermissionDenied for a cross-site request."""
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        return await _from_token(authorization, session)
    token = connection.cookies.get(COOKIE)
    found = await find_user_session(session, token) if token else None
    if found is None:
        raise Unauthenticated("You are not signed in.", hint="Sign in, or send an API token.")
    caller = Caller(user=found.user, csrf_token=found.csrf_token, counted_as=found.user.id)
    _refuse_cross_site(connection, caller)
    return caller


async def _from_token(authorization: str, session: AsyncSession) -> Caller:
    scheme, _, secret = authorization.partition(" ")
    user = await find_token_user(session, secret.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise Unauthenticated(
            "The API token is not valid.", hint="It may have been revoked; make another under Settings."
        )
    return Caller(user=to_domain(user), csrf_token="", counted_as=sha256_hex(secret.strip()))


def _refuse_cross_site(connection: HTTPConnection, caller: Caller) -> None:
    if connection.scope["type"] == "websocket":
        # A WebSocket is not bound by the same-origin policy, and can send no header of ours.
        require_same_origin(connection)
        return
    if connection.scope["method"] in SAFE_METHODS:
        return
    require_same_origin(connection)
    sent = connection.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), caller.csrf_token.encode()):
        raise PermissionDenied(
            f"The header {CSRF_HEADER} is missing or not this sign-in's.",
            hint="Send the csrf_token of GET /api/v1/me, or use an API token.",
        )


def require_same_origin(connection: HTTPConnection) -> None:
    """Refuse a request that does not say it comes from a page of this very host."""
    origin = connection.headers.get("origin", "")
    if not origin or urlsplit(origin).netloc != connection.headers.get("host", ""):
        raise PermissionDenied(
            "The request does not come from this site.",
            hint="Programs use an API token; a proxy in front must pass the Host header on.",
        )


def set_cookie(response: Response, token: str, settings: GatewaySettings) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )


def clear_cookie(response: Response, settings: GatewaySettings) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=settings.secure_cookies)
