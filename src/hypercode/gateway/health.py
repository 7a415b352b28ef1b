"""Whether this process lives, whether its dependencies answer, and the numbers."""

from typing import TYPE_CHECKING

import anyio
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hypercode.gateway.deps import AppParts, Parts
from hypercode.gateway.metrics import RELAYED, ask, exposition
from hypercode.settings import worker_name

if TYPE_CHECKING:
    from hypercode.store.redis_door import RedisDoor

router = APIRouter(tags=["health"])
PROBE_TIMEOUT_S = 3.0


class Health(BaseModel):
    status: str


class Dependency(BaseModel):
    """``status`` is ``up``, ``down``, or ``degraded``: slower without it; ``detail`` says what was seen."""

    name: str
    status: str
    detail: str


class Readiness(BaseModel):
    ready: bool
    dependencies: list[Dependency]


@router.get("/healthz")
async def get_health() -> Health:
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Readiness}})
async def get_readiness(parts: AppParts, response: Response) -> Readiness:
    dependencies = [await _postgres(parts)]
    dependencies.extend([await _process(parts, name) for name in parts.settings.gateway.probes])
    if parts.database.redis is not None:
        dependencies.append(await _redis(parts.database.redis))
    ready = all(dependency.status != "down" for dependency in dependencies)
    if not ready:
        response.status_code = 503
    return Readiness(ready=ready, dependencies=dependencies)


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def get_metrics(parts: AppParts) -> Response:
    await parts.run_gauges.refresh()
    workers = [worker_name(number) for number in range(1, parts.settings.runs.workers + 1)]
    sockets = {name: parts.settings.socket(name) for name in (*RELAYED, *workers)}
    return Response(await exposition(sockets), media_type=CONTENT_TYPE_LATEST)


async def _postgres(parts: Parts) -> Dependency:
    detail = f"no answer within {PROBE_TIMEOUT_S:g} s"
    with anyio.move_on_after(PROBE_TIMEOUT_S):
        try:
            async with parts.database.transaction() as session:
                await session.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            detail = type(error).__name__
        else:
            return Dependency(name="postgres", status="up", detail="answers")
    return Dependency(name="postgres", status="down", detail=detail)


async def _redis(door: "RedisDoor") -> Dependency:
    if await door.answers():
        return Dependency(name="redis", status="up", detail="answers")
    return Dependency(
        name="redis",
        status="degraded",
        detail="does not answer; streams look every 2 s, limits are counted by each gateway",
    )


async def _process(parts: Parts, name: str) -> Dependency:
    socket = parts.settings.socket(name)
    answer = await ask(socket, "/healthz")
    if answer is None:
        detail = "does not answer" if socket.exists() else "its socket is not there"
        return Dependency(name=name, status="down", detail=detail)
    if answer.status_code >= 500:
        return Dependency(name=name, status="down", detail=f"answers {answer.status_code}")
    return Dependency(name=name, status="up", detail="answers")
