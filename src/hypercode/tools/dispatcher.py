"""The one way to every tool: schema, decision, ledger, the tool itself, caps, ledger again."""

import re
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import structlog
from mcp import types

from hypercode.domain.approval import binding_of
from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    NotFound,
    PolicyDenied,
    SandboxDown,
    SandboxLost,
)
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.tool_call import ToolCall
from hypercode.mcp_protocol.caps import storable
from hypercode.mcp_protocol.codes import Uncertain
from hypercode.mcp_protocol.cursors import Cursors
from hypercode.mcp_protocol.schemas import Arguments, arguments_sha256, parse_arguments
from hypercode.policy.decide import Allow, Ask, Deny, decide, never
from hypercode.policy.rules import Policy
from hypercode.sandbox.base import Sandboxes
from hypercode.store.audit import AuditedCall
from hypercode.telemetry.metrics import (
    TOOL_CALL_SECONDS,
    TOOL_CALLS,
    TOOL_CALLS_IN_FLIGHT,
    TOOL_DECISIONS,
    begin_at_zero,
)
from hypercode.tools.approvals import asked_call
from hypercode.tools.ledger import Intention, Ledger, Started
from hypercode.tools.registry import Registry, Report, Tool, ToolContext
from hypercode.tools.result import CallResult, failure, success
from hypercode.tools.secrets import Secrets

log = structlog.get_logger(__name__)

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True)
class CallRequest:
    """A call as it arrived. ``key`` names it, so that a repeated request does not run twice.

    ``refusal`` is why it will not run whatever the policy says: a person was asked, and said nothing in time.
    """

    tool: str
    arguments: dict[str, Any]
    key: str | None
    report: Report
    refusal: HyperCodeError | None = None


@dataclass(frozen=True)
class Keyed:
    """What only this process's keys open: the secrets of projects, and the cursors that it gave out."""

    secrets: Secrets
    cursors: Cursors


@dataclass(frozen=True)
class _Judgement:
    """What schema and policy say of a call; ``refusal`` is why it will not run, ``asks`` why a person is asked."""

    decision: dict[str, Any]
    arguments: Arguments | None
    refusal: HyperCodeError | None
    asks: Ask | None = None


class Dispatcher:
    """Guards the tools of one process."""

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        ledger: Ledger,
        sandboxes: Sandboxes,
        keyed: Keyed,
        approval_life: timedelta = timedelta(hours=24),
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._policy_sha256 = policy.sha256
        self._ledger = ledger
        self._sandboxes = sandboxes
        self._approval_life = approval_life
        self._secrets, self._cursors = keyed.secrets, keyed.cursors
        begin_at_zero(TOOL_DECISIONS, [tool.name for tool in registry], ["allow", "deny", "ask", "refuse"])

    def visible(self, grant: Grant) -> list[types.Tool]:
        """The tools of which this grant may make some call, or ask for it; decided like the calls themselves."""
        return [
            self._registry.definition(tool.name)
            for tool in self._registry
            if never(tool.name, grant, self._policy) is None
        ]

    def header_schema(self, name: str) -> dict[str, Any] | None:
        """The schema to check a call's ``Mcp-Param-*`` headers against, for the tools that declare some."""
        return self._registry.header_schema(name)

    def asks_for(self, grant: Grant, request: CallRequest) -> str | None:
        """What an approval of this call would be bound to, if a rule asks for one."""
        judged = self._judge(grant, request, self._registry.get(request.tool))
        if judged.asks is None or judged.arguments is None:
            return None
        return binding_of(request.tool, arguments_sha256(judged.arguments), self._policy_sha256)

    async def call(self, grant: Grant, request: CallRequest) -> CallResult:
        """Carry out a call; every failure is a result, only a cancellation is raised."""
        started = time.perf_counter()
        # Labels and log lines carry names of ours only: what a caller sends may be anything.
        name = request.tool if self._registry.get(request.tool) else "unknown"
        try:
            with TOOL_CALLS_IN_FLIGHT.track_inprogress():
                result = await self._guarded(grant, request)
        except HyperCodeError as error:
            result = failure(error)
        seconds = time.perf_counter() - started
        TOOL_CALLS.labels(name, result.code).inc()
        TOOL_CALL_SECONDS.labels(name).observe(seconds)
        log.info(
            "tool_call.ended",
            run_id=grant.run_id,
            tool=name,
            code=result.code,
            duration_ms=round(seconds * 1000, 1),
        )
        return result

    async def _guarded(self, grant: Grant, request: CallRequest) -> CallResult:
        if request.key is not None and not _KEY.fullmatch(request.key):
            raise InvalidArgument("an idempotency key has 1 to 200 printable ASCII characters")
        tool = self._registry.get(request.tool)
        judgement = self._judge(grant, request, tool)
        TOOL_DECISIONS.labels(tool.name if tool else "unknown", judgement.decision["effect"]).inc()
        if judgement.asks is not None:
            await self._secrets.prepare(grant.run_id)
        begun = await self._ledger.begin(grant, self._intention(grant, request, tool, judgement))
        if isinstance(begun, CallResult) or tool is None or judgement.arguments is None:
            return begun if isinstance(begun, CallResult) else failure(NotFound("there is no such tool"))
        context = self._context(grant, request, begun)
        return await self._run(tool, context, judgement.arguments, begun)

    def _context(self, grant: Grant, request: CallRequest, begun: Started) -> ToolContext:
        """What the tool may use. Its messages on the way are redacted like its result."""

        async def report(message: str) -> None:
            await request.report(self._secrets.redactor(grant.run_id).text(message))

        use_secrets = partial(self._secrets.use, grant)
        call_id = begun.key or begun.audited.call_id
        return ToolContext(
            grant, self._sandboxes, begun.sandbox_id, report, call_id, use_secrets, self._cursors
        )

    def _judge(self, grant: Grant, request: CallRequest, tool: Tool[Any] | None) -> _Judgement:
        """Policy first looks at the tool alone, so that a hidden tool does not explain its schema."""
        if tool is None:
            missing = NotFound(f"there is no tool {request.tool[:64]!r}", hint="See tools/list.")
            return _Judgement({"effect": "refuse", "rule": "schema"}, None, missing)
        if denied := never(tool.name, grant, self._policy):
            return _Judgement(self._written(denied), None, _denied(denied))
        try:
            arguments = parse_arguments(tool.arguments, request.arguments)
        except HyperCodeError as error:
            return _Judgement({"effect": "refuse", "rule": "schema"}, None, error)
        verdict = decide(ToolCall(tool.name, arguments.touched()), grant, self._policy)
        if isinstance(verdict, Deny):
            return _Judgement(self._written(verdict), arguments, _denied(verdict))
        if request.refusal is not None:
            return _Judgement(self._written(verdict), arguments, request.refusal)
        return _Judgement(
            self._written(verdict), arguments, None, asks=verdict if isinstance(verdict, Ask) else None
        )

    def _intention(
        self, grant: Grant, request: CallRequest, tool: Tool[Any] | None, judgement: _Judgement
    ) -> Intention:
        intention = _intention(grant, request, tool, judgement)
        if judgement.asks is None or judgement.arguments is None:
            return intention
        try:
            asks = asked_call(
                grant, intention.audited, request.key, judgement.arguments, judgement.asks,
                policy_sha256=self._policy_sha256, life=self._approval_life,
                redact=self._secrets.redactor(grant.run_id).json,
            )  # fmt: skip
        except HyperCodeError as error:
            return replace(intention, refusal=error)
        return replace(intention, asks=asks)

    def _written(self, verdict: Allow | Ask | Deny) -> dict[str, Any]:
        return {"effect": verdict.effect, "rule": verdict.rule, "policy": self._policy_sha256}

    async def _run(
        self, tool: Tool[Any], context: ToolContext, arguments: Arguments, started: Started
    ) -> CallResult:
        """Run a tool; its outcome is written down even when the caller goes away."""
        run_id = context.grant.run_id
        try:
            await self._secrets.prepare(run_id)
            result = success(await tool.run(context, arguments))
        except SandboxLost as lost:
            result = failure(_lost(tool, lost))
        except HyperCodeError as error:
            result = failure(error)
        except Exception as error:  # the tool guard: a defect of ours must not leak a trace
            log.error("tool_call.broke", tool=tool.name, error=type(error).__name__, exc_info=error)
            result = failure(
                HyperCodeError("the tool broke", hint="Report this; the server's log says more.")
            )
        except anyio.get_cancelled_exc_class():
            await self._ledger.finish(started, None)
            raise
        result = result.redacted(self._secrets.redactor(run_id))
        if context.sandbox_id is not None and (seen := self._sandboxes.cpu_seen(context.sandbox_id)):
            result = replace(result, cpu={"sandbox": seen.container, "whole_us": seen.whole_us})
        await self._ledger.finish(started, result)
        return result


def _lost(tool: Tool[Any], lost: SandboxLost) -> HyperCodeError:
    """What the agent is told: that the call may be made again, unless its effect could come twice then."""
    if tool.read_only or tool.repeatable:
        return SandboxDown(lost.message, hint=lost.hint)
    return Uncertain(
        f"{lost.message}; whether the effect of this call of {tool.name} happened is unknown",
        hint="Look at the workspace before you repeat it.",
    )


def _intention(
    grant: Grant, request: CallRequest, tool: Tool[Any] | None, judgement: _Judgement
) -> Intention:
    audited = AuditedCall(
        run_id=grant.run_id,
        organisation_id=grant.organisation_id,
        project_id=grant.project_id,
        call_id=request.key or new_id("tool_call"),
        tool=str(storable(request.tool[:64])),
        arguments_sha256=arguments_sha256(judgement.arguments or request.arguments),
    )
    return Intention(
        audited=audited,
        key=request.key,
        decision=judgement.decision,
        refusal=judgement.refusal,
        repeatable=tool is not None and (tool.read_only or tool.repeatable),
    )


def _denied(verdict: Deny) -> HyperCodeError:
    return PolicyDenied(f"{verdict.reason} (rule {verdict.rule})")
