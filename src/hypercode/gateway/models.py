"""Models that a task may name."""

from fastapi import APIRouter
from pydantic import BaseModel

from hypercode.gateway.deps import CurrentCaller, DbSession
from hypercode.store.models import ModelInfo, announced_models, default_model

router = APIRouter(prefix="/models", tags=["models"])


class ModelList(BaseModel):
    """``default`` is taken when a task names none."""

    items: list[ModelInfo]
    default: str


@router.get("")
async def list_models(caller: CurrentCaller, session: DbSession) -> ModelList:
    _ = caller
    return ModelList(items=await announced_models(session), default=await default_model(session))
