"""The gateway's composition: routes, errors, and what they are given."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI

from hypercode.events.history import History
from hypercode.events.live import LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.gateway import (
    api_tokens,
    approvals,
    artifacts,
    budgets,
    deployments,
    diffs,
    health,
    models,
    projects,
    questions,
    runs,
    secrets,
    steering,
    streams,
    tasks,
    users,
)
from hypercode.gateway.attempts import SignInAttempts
from hypercode.gateway.body_limit import BodyLimit
from hypercode.gateway.counts import counts
from hypercode.gateway.deps import Parts
from hypercode.gateway.errors import Problem, install_error_handlers
from hypercode.gateway.openapi import document, operation_id
from hypercode.gateway.previews import PreviewHost, Previews
from hypercode.gateway.request_limit import RequestLimit
from hypercode.gateway.request_log import RequestLog
from hypercode.gateway.run_gauges import RunGauges
from hypercode.gateway.static_ui import StaticUi, ui_router
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.channels import RUN_DELTAS, RUN_EVENTS
from hypercode.store.database import Database
from hypercode.store.objects import open_objects
from hypercode.telemetry.metrics import SIGN_INS, begin_at_zero

DESCRIPTION = "A self-hosted AI coding platform: tasks, runs, their events and their proofs."
RESOURCES = (
    users,
    api_tokens,
    projects,
    secrets,
    models,
    tasks,
    budgets,
    runs,
    diffs,
    steering,
    streams,
    artifacts,
    approvals,
    questions,
    deployments,
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings, database: Database, *, ui: StaticUi | None = None, heartbeat_s: float = 15.0
) -> FastAPI:
    """Make the gateway on a migrated database; nothing connects before the app starts."""
    artifact_store = ArtifactStore(open_objects(settings))
    history = History(artifact_store.objects)
    live = LiveEvents(database, wake_ups(database, RUN_EVENTS), wake_ups(database, RUN_DELTAS), history)
    shared = counts(database.redis)
    previews = Previews(settings, database)
    parts = Parts(
        settings=settings,
        database=database,
        artifacts=artifact_store,
        history=history,
        live=live,
        sign_ins=SignInAttempts(shared),
        request_limit=RequestLimit(shared, settings.gateway.requests_per_minute),
        heartbeat_s=heartbeat_s,
        run_gauges=RunGauges(database),
        previews=previews,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        begin_at_zero(SIGN_INS, ["accepted", "refused", "limited"])
        streams.show_streams()
        async with live:
            yield
        await previews.close()

    app = _routes(lifespan, ui or StaticUi())
    app.state.parts = parts
    return app


def api_document() -> dict[str, Any]:
    """Return the OpenAPI document; needs no settings and no database."""
    return document(_routes(None, StaticUi()))


def _routes(lifespan: Lifespan | None, ui: StaticUi) -> FastAPI:
    app = FastAPI(
        title="HyperCode",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        responses={"4XX": {"model": Problem, "description": "What went wrong, as problem+json"}},
    )
    api = APIRouter(prefix="/api/v1")
    for resource in RESOURCES:
        api.include_router(resource.router)
    app.include_router(health.router)
    app.include_router(api)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog)
    # Last, and so the outermost: what is addressed to a preview never reaches the platform's own routes.
    app.add_middleware(PreviewHost)
    install_error_handlers(app)
    app.openapi = lru_cache(maxsize=1)(lambda: document(app))
    app.include_router(ui_router(ui))
    return app
