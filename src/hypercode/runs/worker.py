"""The worker process: takes runs of its roles from the queue and works on them durably."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hypercode.domain.address import Address, binding
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
from hypercode.runs.control import RunControl
from hypercode.runs.inbox import look
from hypercode.runs.leases import Identity, Lease
from hypercode.runs.pruning import keep_pruning
from hypercode.runs.queue import Claims, Segment
from hypercode.runs.retention import keep_retention
from hypercode.runs.sealing import keep_sealing
from hypercode.runs.services import Services
from hypercode.runs.takeover import hand_over, keep_sweeping
from hypercode.runs.top_up import expire_pauses
from hypercode.runs.workflow import register
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.channels import RUN_CONTROL, RUN_DECIDED, RUN_ENDED, RUN_QUEUED
from hypercode.store.database import DATABASE_AWAY, open_database
from hypercode.store.models import announce_models
from hypercode.store.objects import open_objects
from hypercode.store.queue import APPLICATION_NAME, APPLICATION_VERSION
from hypercode.telemetry.metrics import RUN_SECONDS, RUNS_ENDED, begin_at_zero, watch_connections
from hypercode.verification.client import VerifierClient

logger = structlog.get_logger(__name__)
CLEAN_UP_S = 8.0
EXPIRY_SWEEP_S = 5.0
EXIT_LEASE_LOST = 75


Workflow = Callable[[Services, str], Segment]
"""Gives DBOS the workflow of a run's segment, for the worker of this id."""


async def serve(
    settings: Settings,
    database_url: str,
    identity: Identity,
    address: Address | None = None,
    workflow: Workflow = register,
) -> None:
    """Work until SIGTERM, then hand over what is left. A worker that has lost its lease ends at once, in disorder."""
    services = services_of(settings, database_url)
    database, control = services.database, services.control
    _begin_series(identity.roles)
    await _announce_models(services)
    segment = _launch(services, database_url, identity.worker_id, workflow)
    lease = Lease(database, identity, settings.runs, control.lost)
    await lease.take()
    claims = Claims(database, control, identity, settings.runs)
    claiming = asyncio.create_task(claims.keep_claiming(segment))
    sweeping = keep_sweeping(database, identity.worker_id, settings.runs)
    others = [asyncio.create_task(each) for each in (*_listeners(services), lease.keep(), sweeping)]
    logger.info("worker.ready", worker_id=identity.worker_id, roles=[role.value for role in identity.roles])
    health = _health(address or settings.address_of("worker"))
    others.append(asyncio.create_task(_end_without_lease(control)))
    await _serve_until_stopped(health)
    claiming.cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(control.all_closed(), CLEAN_UP_S)
    with suppress(*DATABASE_AWAY):
        handed = await hand_over(database, identity.worker_id)
        logger.info("worker.stopped", worker_id=identity.worker_id, handed_over=handed)
    DBOS.destroy(workflow_completion_timeout_sec=0)
    for task in others:
        task.cancel()
    await asyncio.gather(claiming, *others, return_exceptions=True)
    with suppress(asyncio.CancelledError):
        await database.dispose()


def services_of(settings: Settings, database_url: str) -> Services:
    """Open what a worker works with; nothing is asked of it yet."""
    database = open_database(database_url, settings.redis_url)
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    key = (settings.keys_dir / "platform.key").read_text().strip()
    verification_key = (settings.keys_dir / "verification.key").read_text().strip()
    return Services(
        settings=settings,
        database=database,
        artifacts=ArtifactStore(open_objects(settings)),
        platform=PlatformClient(settings.address_of("platform"), key),
        verifier=VerifierClient(settings.address_of("verifier"), verification_key),
        policy=load_policy(settings.policy_file),
    )


def _begin_series(roles: Sequence[AgentRole]) -> None:
    ends = [status.value for status in RunStatus if status.ended]
    begin_at_zero(RUNS_ENDED, [role.value for role in roles], ends, [grade.value for grade in Grade])
    begin_at_zero(RUN_SECONDS, [role.value for role in roles], ends)


def _listeners(services: Services) -> list[Coroutine[Any, Any, None]]:
    """What this process does beside the runs themselves."""
    return [
        _listen_for_commands(services),
        _listen_for_children(services),
        _listen_for_decisions(services),
        _listen_for_the_queue(services),
        _look_for_commands(services),
        _look_for_expiries(services),
        keep_sealing(services.database),
        keep_retention(services.database, services.artifacts.objects, services.settings.retention),
        keep_pruning(services),
    ]


async def _end_without_lease(control: RunControl) -> None:
    """Nothing is put in order: all of it is another's by now, and a tidy end would take time to do harm in."""
    await control.lost.wait()
    sys.stderr.flush()
    os._exit(EXIT_LEASE_LOST)


async def _serve_until_stopped(health: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server gives a signal back once it has ended, and that must not end the process before its runs are handed over.
        loop.add_signal_handler(number, _stop, health)
    await health.serve()


def _stop(health: uvicorn.Server) -> None:
    health.should_exit = True


async def _announce_models(services: Services) -> None:
    llm = services.settings.llm
    models = model_catalogue(
        os.environ, base_url=llm.base_url, has_key=llm.api_key is not None, preferred=llm.default_model
    )
    async with services.database.transaction() as session:
        await announce_models(session, models)


def _health(address: Address) -> uvicorn.Server:
    """Health and metrics."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
    if isinstance(address, Path):
        address.unlink(missing_ok=True)
    return uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **binding(address)))


def _launch(services: Services, database_url: str, worker_id: str, workflow: Workflow) -> Segment:
    """Begin the step journal. Its own queues are not used, so it is told to listen to none."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
    config: DBOSConfig = {
        "name": APPLICATION_NAME,
        "system_database_url": database_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": worker_id,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
        "sys_db_pool_size": 5,
        # The connection used last knows the statements: it is prepared, not planned anew.
        "db_engine_kwargs": {"pool_use_lifo": True},
        # As our own connections: a worker that is frozen must not keep others from taking its runs over.
        "sys_db_idle_transaction_timeout_sec": 10.0,
    }
    DBOS(config=config)
    segment = workflow(services, worker_id)
    DBOS.listen_queues([])
    DBOS.launch()
    return segment


async def _listen_for_commands(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_CONTROL).listen():
        if services.control.follows(run_id):
            with suppress(*DATABASE_AWAY):  # the next sweep finds it
                await look(services, [run_id])


async def _look_for_commands(services: Services) -> None:
    """Find the commands whose wake-up was lost; asks nothing while no run is worked on."""
    while True:
        await asyncio.sleep(SWEEP_S)
        if run_ids := services.control.followed():
            with suppress(*DATABASE_AWAY):
                await look(services, run_ids)


async def _listen_for_decisions(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_DECIDED).listen():
        services.control.decided(run_id).set()


async def _look_for_expiries(services: Services) -> None:
    """Let runs go on that nobody spoke to in time; three look-ups by an index, and a run's lock for each that is due."""
    while True:
        with suppress(*DATABASE_AWAY):
            await expire_approvals(services.database)
            await expire_questions(services.database)
            await expire_pauses(services.database)
        await asyncio.sleep(EXPIRY_SWEEP_S)


async def _listen_for_children(services: Services) -> None:
    async for run_id in wake_ups(services.database, RUN_ENDED).listen():
        services.control.child_ended(run_id).set()


async def _listen_for_the_queue(services: Services) -> None:
    async for _ in wake_ups(services.database, RUN_QUEUED).listen():
        services.control.queued.set()
