"""First-run set-up, sign-in, sign-out, and who am I."""

import re
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from hypercode.domain.errors import RateLimited, Unauthenticated
from hypercode.domain.fields import Name
from hypercode.domain.user import User
from hypercode.gateway.auth import COOKIE, clear_cookie, require_same_origin, set_cookie
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.gateway.passwords import MAX_LENGTH, MIN_LENGTH, hash_password, password_matches
from hypercode.store import users
from hypercode.store.tables import UserRow
from hypercode.telemetry.metrics import SIGN_INS

router = APIRouter(tags=["users"])
EMAIL = re.compile(r"[^@\s\0]{1,64}@[^@\s\0]{1,255}")


def _email(value: str) -> str:
    value = value.strip().lower()
    if not EMAIL.fullmatch(value):
        raise ValueError("this is not an email address; expected something like you@example.org")
    return value


def _password(value: SecretStr) -> SecretStr:
    length = len(value.get_secret_value())
    if length < MIN_LENGTH:
        raise ValueError(f"the password has {length} characters; it needs at least {MIN_LENGTH}")
    if length > MAX_LENGTH:
        raise ValueError(f"the password is longer than {MAX_LENGTH} characters")
    return value


Email = Annotated[str, AfterValidator(_email)]


class SetupState(BaseModel):
    """``needed`` is true until the first admin exists."""

    needed: bool


class SetupRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=200)]
    email: Email
    name: Name
    password: Annotated[SecretStr, AfterValidator(_password)]


class LoginRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=320)]
    password: Annotated[SecretStr, Field(max_length=MAX_LENGTH)]


class Me(BaseModel):
    """The caller; ``csrf_token`` goes into the header X-HyperCode-CSRF of every change."""

    user: User
    csrf_token: str


@router.get("/setup")
async def get_setup(session: DbSession) -> SetupState:
    return SetupState(needed=not await users.admin_exists(session))


@router.post("/setup", status_code=201)
async def complete_setup(
    body: SetupRequest, request: Request, response: Response, parts: AppParts, session: DbSession
) -> Me:
    """Make the first admin with the one-time token of the first-run link, and sign them in."""
    _refuse_foreign_page(request)
    address = _address(request)
    await parts.sign_ins.begin("setup", address)
    password_hash = await hash_password(body.password.get_secret_value())
    user = await users.create_first_admin(
        session, token=body.token, email=body.email, name=body.name, password_hash=password_hash
    )
    await parts.sign_ins.succeeded("setup", address)
    return await _sign_in(user, response, parts, session)


@router.post("/login")
async def login(
    body: LoginRequest, request: Request, response: Response, parts: AppParts, session: DbSession
) -> Me:
    _refuse_foreign_page(request)
    email, address = body.email.strip().lower(), _address(request)
    try:
        await parts.sign_ins.begin(email, address)
    except RateLimited:
        SIGN_INS.labels("limited").inc()
        raise
    user = await users.find_user_by_email(session, email)
    password_hash = user.password_hash if user else None
    if not await password_matches(body.password.get_secret_value(), password_hash) or user is None:
        SIGN_INS.labels("refused").inc()
        raise Unauthenticated("The email address or the password is wrong.")
    await parts.sign_ins.succeeded(email, address)
    return await _sign_in(user, response, parts, session)


@router.post("/logout", status_code=204)
async def logout(
    request: Request, response: Response, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> None:
    _ = caller
    await users.close_user_session(session, request.cookies.get(COOKIE, ""))
    clear_cookie(response, parts.settings.gateway)


@router.get("/me")
async def get_me(caller: CurrentCaller) -> Me:
    return Me(user=caller.user, csrf_token=caller.csrf_token)


async def _sign_in(user: UserRow, response: Response, parts: AppParts, session: DbSession) -> Me:
    token, row = await users.open_user_session(session, user)
    SIGN_INS.labels("accepted").inc()
    set_cookie(response, token, parts.settings.gateway)
    return Me(user=users.to_domain(user), csrf_token=row.csrf_token)


def _refuse_foreign_page(request: Request) -> None:
    # No cookie is needed here, but another site must not sign a person in as somebody else.
    if "origin" in request.headers:
        require_same_origin(request)


def _address(request: Request) -> str:
    return request.client.host if request.client else "local"
