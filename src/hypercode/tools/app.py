"""Puts the tools process together: two listeners, one dispatcher, one ledger."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hypercode.mcp_protocol.cursors import Cursors
from hypercode.policy.files import BUILT_IN
from hypercode.policy.rules import Policy
from hypercode.sandbox.base import Sandboxes
from hypercode.settings import ApprovalSettings, Settings
from hypercode.store.database import Database
from hypercode.telemetry.logging import scrub_with
from hypercode.tools.changing import CHANGING_TOOLS
from hypercode.tools.containers import CONTAINER_TOOLS
from hypercode.tools.context import Context
from hypercode.tools.delegation import Delegation
from hypercode.tools.deployments import Deployments
from hypercode.tools.diagnostics import DIAGNOSTIC_TOOLS
from hypercode.tools.dispatcher import Dispatcher, Keyed
from hypercode.tools.finding import FINDING_TOOLS
from hypercode.tools.git import GIT_TOOLS
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.ledger import Ledger
from hypercode.tools.limits import CallLimits
from hypercode.tools.mcp_app import HOST, create_mcp_app
from hypercode.tools.platform import create_platform_app
from hypercode.tools.platform_work import PlatformWork
from hypercode.tools.preview_work import PreviewWork
from hypercode.tools.processes import PROCESS_TOOLS
from hypercode.tools.questions import Questions
from hypercode.tools.registry import Registry
from hypercode.tools.repair import REPAIR_TOOLS
from hypercode.tools.resources import RESOURCE_TOOLS
from hypercode.tools.rounds import Rounds
from hypercode.tools.secrets import Secrets
from hypercode.tools.shell import SHELL_TOOLS
from hypercode.tools.snapshot_work import SnapshotWork
from hypercode.tools.symbols import SYMBOL_TOOLS
from hypercode.tools.tests import TEST_TOOLS
from hypercode.tools.workspace import FILE_TOOLS


@dataclass(frozen=True)
class ToolsApps:
    """The two listeners' apps, and the name under which this process stands in the journal."""

    mcp: Starlette
    platform: Starlette
    owner: str


@dataclass(frozen=True)
class CallRules:
    """What every call is held to: who may make it, how often, and what holds for a person's word on it."""

    policy: Policy = BUILT_IN
    limits: CallLimits = field(default_factory=CallLimits)
    approvals: ApprovalSettings = field(default_factory=ApprovalSettings)


def create_app(
    database: Database,
    sandboxes: Sandboxes,
    keys: PlatformKeys,
    registry: Registry | None = None,
    *,
    rules: CallRules | None = None,
    host: str = HOST,
) -> ToolsApps:
    """Wire everything; ``registry`` None means all tools of this process. ``host``: what clients send as Host."""
    rules = rules or CallRules()
    owner = uuid.uuid4().hex
    secrets = Secrets(database, keys.secrets_private_hex)
    scrub_with(secrets.scrub)
    tools = registry or all_tools(database, keys)
    dispatcher = create_dispatcher(
        database, sandboxes, tools, rules, owner, Keyed(secrets, Cursors(keys.platform))
    )
    beside = [Route("/healthz", _healthz), Route("/metrics", _metrics)]
    return ToolsApps(
        mcp=create_mcp_app(
            Rounds(dispatcher, database, rules.approvals),
            keys,
            routes=beside,
            host=host,
            limits=rules.limits,
        ),
        platform=create_platform_app(
            PlatformWork(database, sandboxes, secrets),
            SnapshotWork(database, sandboxes, secrets),
            PreviewWork(database, sandboxes),
            keys,
            routes=beside,
        ),
        owner=owner,
    )


def create_dispatcher(
    database: Database,
    sandboxes: Sandboxes,
    registry: Registry,
    rules: CallRules,
    owner: str,
    keyed: Keyed | None = None,
) -> Dispatcher:
    """The one way to these tools, with its ledger; ``owner`` names the process there."""
    return Dispatcher(
        registry,
        rules.policy,
        Ledger(database, owner),
        sandboxes,
        keyed or Keyed(Secrets(database, ""), Cursors(token_hex())),
        timedelta(seconds=rules.approvals.expires_s),
    )


def all_tools(database: Database, keys: PlatformKeys, settings: Settings | None = None) -> Registry:
    """Every tool that there is; policy says who sees which."""
    settings = settings or Settings()
    deployments = Deployments(database, settings)
    questions = Questions(database, timedelta(seconds=settings.approvals.expires_s))
    delegation = Delegation(database, keys.grant_public_hex)
    groups = (
        FILE_TOOLS,
        FINDING_TOOLS,
        CHANGING_TOOLS,
        SYMBOL_TOOLS,
        SHELL_TOOLS,
        PROCESS_TOOLS,
        RESOURCE_TOOLS,
        GIT_TOOLS,
        TEST_TOOLS,
        DIAGNOSTIC_TOOLS,
        REPAIR_TOOLS,
        CONTAINER_TOOLS,
        deployments.tools(),
        delegation.tools(),
        Context(database).tools(),
        questions.tools(),
        Secrets(database, keys.secrets_private_hex).tools(),
    )
    return Registry(tool for group in groups for tool in group)


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
