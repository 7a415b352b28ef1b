"""The worker process: takes runs from the queues of its roles and works on them durably."""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog
import uvicorn
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hypercode.domain.address import binding
from hypercode.domain.attestation import Grade
from hypercode.domain.model import model_catalogue
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus
from hypercode.events.approvals import expire_approvals
from hypercode.events.live import SWEEP_S
from hypercode.events.questions import expire_questions
from hypercode.events.wake_ups import wake_ups
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import load_policy
from hypercode.runs.pruning import keep_pruning
from hypercode.runs.retention import keep_retention
from hypercode.runs.sealing import keep_sealing
from hypercode.runs.services import Services
from hypercode.runs.top_up import expire_pauses
from hypercode.runs.workflow import register
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.channels import RUN_CONTROL, RUN_DECIDED, RUN_ENDED
from hypercode.store.database import open_database
from hypercode.store.models import announce_models
from hypercode.store.objects import open_objects
from hypercode.store.queue import APPLICATION_NAME, APPLICATION_VERSION, queue_name
from hypercode.store.runs import cancelled_among
from hypercode.telemetry.metrics import RUN_SECONDS, RUNS_ENDED, begin_at_zero, watch_connections
from hypercode.verification.client import VerifierClient

logger = structlog.get_logger(__name__)
RUNS_AT_ONCE = 8
# Three queries a poll and queue: a tenth of a second would cost a tenth of a core in an idle worker.
QUEUE_POLL_S = 0.25
CLEAN_UP_S = 8.0
EXPIRY_SWEEP_S = 5.0


async def serve(settings: Settings, database_url: str, executor_id: str, roles: Sequence[AgentRole]) -> None:
    """Work until SIGTERM. A worker that comes back under the same executor id takes its own runs up again."""
    database = open_database(database_url, settings.redis_url)
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    key = (settings.keys_dir / "platform.key").read_text().strip()
    verification_key = (settings.keys_dir / "verification.key").read_text().strip()
    services = Services(
        settings=settings,
        database=database,
        artifacts=ArtifactStore(open_objects(settings)),
        platform=PlatformClient(settings.address_of("platform"), key),
        verifier=VerifierClient(settings.address_of("verifier"), verification_key),
        policy=load_policy(settings.policy_file),
    )
    ends = [status.value for status in RunStatus if status.ended]
    begin_at_zero(RUNS_ENDED, [role.value for role in roles], ends, [grade.value for grade in Grade])
    begin_at_zero(RUN_SECONDS, [role.value for role in roles], ends)
    await _announce_models(services)
    listeners = [
        asyncio.create_task(_listen_for_cancels(services)),
        asyncio.create_task(_listen_for_children(services)),
        asyncio.create_task(_listen_for_decisions(services)),
        asyncio.create_task(_look_for_cancels(services)),
        asyncio.create_task(keep_sealing(database)),
        asyncio.create_task(keep_retention(database, services.artifacts.objects, settings.retention)),
        asyncio.create_task(keep_pruning(services)),
        asyncio.create_task(_look_for_expiries(services)),
    ]
    await _launch(services, database_url, executor_id, roles)
    logger.info("worker.ready", executor_id=executor_id, roles=[role.value for role in roles])
    await _health(settings).serve()
    with suppress(TimeoutError):
        await asyncio.wait_for(services.control.all_closed(), CLEAN_UP_S)
    # Runs in the middle stay pending; the next worker under this id goes on with them.
    DBOS.destroy(workflow_completion_timeout_sec=0)
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    with suppress(asyncio.CancelledError):
        await database.dispose()


async def _announce_models(services: Services) -> None:
    llm = services.settings.llm
    models = model_catalogue(
        os.environ, base_url=llm.base_url, has_key=llm.api_key is not None, preferred=llm.default_model
    )
    async with services.database.transaction() as session:
        await announce_models(session, models)


def _health(settings: Settings) -> uvicorn.Server:
    """Health and metrics; the server also turns SIGTERM into a return."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
    address = settings.address_of("worker")
    if isinstance(address, Path):
        address.unlink(missing_ok=True)
    return uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **binding(address)))


async def _launch(
    services: Services, database_url: str, executor_id: str, roles: Sequence[AgentRole]
) -> None:
    logging.getLogger("dbos").setLevel(logging.WARNING)
    config: DBOSConfig = {
        "name": APPLICATION_NAME,
        "system_database_url": database_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
        "sys_db_pool_size": 5,
    }
    DBOS(config=config)
    register(services)
    names = [queue_name(role.value) for role in roles]
    DBOS.listen_queues(names)
    DBOS.launch()
    for name in names:
        await DBOS.register_queue_async(
            name, worker_concurrency=RUNS_AT_ONCE, polling_interval_sec=QUEUE_POLL_S
        )


async def _listen_for_cancels(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_CONTROL).listen():
        services.control.cancelled(run_id).set()


async def _look_for_cancels(services: Services) -> None:
    """Find the cancels whose wake-up was lost; asks nothing while no run is worked on."""
    while True:
        await asyncio.sleep(SWEEP_S)
        run_ids = services.control.followed()
        if not run_ids:
            continue
        with suppress(DBAPIError):
            async with services.database.transaction() as session:
                for run_id in await cancelled_among(session, run_ids):
                    services.control.cancelled(run_id).set()


async def _listen_for_decisions(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_DECIDED).listen():
        services.control.decided(run_id).set()


async def _look_for_expiries(services: Services) -> None:
    """Let runs go on that nobody spoke to in time; three look-ups by an index, and a run's lock for each that is due."""
    while True:
        with suppress(DBAPIError):
            await expire_approvals(services.database)
            await expire_questions(services.database)
            await expire_pauses(services.database)
        await asyncio.sleep(EXPIRY_SWEEP_S)


async def _listen_for_children(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_ENDED).listen():
        services.control.child_ended(run_id).set()
