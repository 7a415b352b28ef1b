"""A person's API tokens."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from hypercode.domain.fields import Name
from hypercode.gateway.deps import CurrentCaller, DbSession
from hypercode.store import api_tokens
from hypercode.store.tables import ApiTokenRow

router = APIRouter(prefix="/tokens", tags=["tokens"])


class ApiToken(BaseModel):
    """A token as shown in a list; never its secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


class ApiTokenList(BaseModel):
    items: list[ApiToken]


class NewApiToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class CreatedApiToken(BaseModel):
    """``secret`` is shown this once."""

    token: ApiToken
    secret: str


@router.get("")
async def list_tokens(caller: CurrentCaller, session: DbSession) -> ApiTokenList:
    rows = await api_tokens.tokens_of(session, caller.user.id)
    return ApiTokenList(items=[_show(row) for row in rows])


@router.post("", status_code=201)
async def create_token(body: NewApiToken, caller: CurrentCaller, session: DbSession) -> CreatedApiToken:
    secret, row = await api_tokens.issue_token(session, caller.user.id, body.name)
    return CreatedApiToken(token=_show(row), secret=secret)


@router.delete("/{token_id}", status_code=204)
async def revoke_token(token_id: str, caller: CurrentCaller, session: DbSession) -> None:
    await api_tokens.revoke_token(session, caller.user.id, token_id)


def _show(row: ApiTokenRow) -> ApiToken:
    return ApiToken(id=row.id, name=row.name, created_at=row.created_at, last_used_at=row.last_used_at)
