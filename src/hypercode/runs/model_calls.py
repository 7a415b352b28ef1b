"""A run's model calls: each is held in the budget, asked once, and its reply kept before anything is done with it."""

import time
from contextlib import suppress
from typing import Any

from opentelemetry.trace import SpanKind

from hypercode.agents.context import person_message
from hypercode.agents.intent import CallModel, ModelAnswer
from hypercode.domain.errors import ModelFailed
from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.events.eras import in_era
from hypercode.llm.base import Model, ModelReply, ModelRequest
from hypercode.llm.models import provider_of, resolve
from hypercode.llm.retries import complete_patiently
from hypercode.runs.budget import Purse, model_need
from hypercode.runs.inbox import Interrupted, to_its_end, unless_interrupted, words_after, words_before
from hypercode.runs.preparation import RunFacts
from hypercode.runs.services import Services
from hypercode.runs.speech import Speech, speaking, without_secrets
from hypercode.runs.telling import turn_completed
from hypercode.store.budgets import Held
from hypercode.store.model_calls import Used, keep_reply, look_up
from hypercode.telemetry.metrics import (
    COST_USD,
    MODEL_CALL_SECONDS,
    MODEL_WAITS,
    TOKENS,
    TURNS,
    begin_at_zero,
    timed,
)
from hypercode.telemetry.tracing import span


class ModelCalls:
    """Makes the model calls of one run; ``purse`` holds what they take."""

    def __init__(self, services: Services, facts: RunFacts, purse: Purse) -> None:
        self._services = services
        self._facts = facts
        self._purse = purse
        self._model: Model | None = None
        self._provider = provider_of(facts.model)
        begin_at_zero(MODEL_CALL_SECONDS, [self._provider], ["done", "failed"])
        begin_at_zero(MODEL_WAITS, [self._provider])
        for counter in (TURNS, COST_USD):
            begin_at_zero(counter, [facts.role.value], [self._provider])

    async def aclose(self) -> None:
        """Close the model's connections; called when a worker is done with the run."""
        if self._model is not None:
            await self._model.aclose()

    async def call(self, intent: CallModel) -> dict[str, Any]:
        """Ask the model once; a reply that was received before a kill is not paid for again."""
        key = in_era(f"model:{intent.turn}")
        while True:
            with suppress(Interrupted):
                return await unless_interrupted(self._services, self._facts.run_id, self._answer(intent, key))

    async def _answer(self, intent: CallModel, key: str) -> dict[str, Any]:
        facts = self._facts
        known = await look_up(self._services.database, facts.run_id, key)
        if known.reply is not None:
            return known.reply
        before: list[str] = []
        if known.told:
            async with self._services.database.transaction() as session:
                before = await words_before(session, facts.run_id, key)
        request = ModelRequest(
            model=facts.model,
            messages=[*intent.messages, *map(person_message, before)],
            tools=intent.tools,
            run_key=f"{facts.role.value}:{facts.goal}",
            turn=intent.turn,
        )
        if self._model is None:
            self._model = resolve(facts.model, self._services.settings.llm)
        held = await self._purse.take(key, model_need(self._model.most(request), self._services.settings))
        started = time.monotonic()
        reply = await self._ask(self._model, request, held, given_secrets=known.given_secrets)
        answer = ModelAnswer(**dict(reply), before=before)
        # A reply that is here is paid for: it is kept, whoever interrupts now.
        kept = await to_its_end(
            self._keep_reply(key, intent, answer, held, (time.monotonic() - started) * 1000)
        )
        return kept.model_dump(mode="json")

    async def _ask(
        self, model: Model, request: ModelRequest, held: Held, *, given_secrets: bool
    ) -> ModelReply:
        """Ask, patiently; a call that the provider refused costs nothing."""
        with (
            span("model call", SpanKind.CLIENT, model=self._facts.model),
            timed(MODEL_CALL_SECONDS, self._provider),
        ):
            try:
                async with speaking(
                    self._services, self._facts.run_id, request.turn, given_secrets=given_secrets
                ) as speech:
                    reply = await complete_patiently(
                        model,
                        request,
                        on_wait=self._on_wait(f"model:{request.turn}", speech),
                        on_text=speech.hear if self._services.settings.llm.stream else None,
                    )
            except ModelFailed:
                await self._purse.give_back(held)
                raise
        return await without_secrets(self._services, self._facts.run_id, reply) if given_secrets else reply

    def _on_wait(self, key: str, speech: Speech):
        waits = 0

        async def on_wait(seconds: float, failure: ModelFailed) -> None:
            nonlocal waits
            waits += 1
            MODEL_WAITS.labels(self._provider).inc()
            await speech.again()
            await self._services.record(
                self._facts.run_id,
                f"{key}:wait:{waits}",
                NoticeRaised(
                    level="warning",
                    code=failure.code,
                    message=f"{failure.message} Trying again in {seconds:.0f} s.",
                    hint=failure.hint,
                ),
            )

        return on_wait

    async def _keep_reply(
        self, key: str, intent: CallModel, reply: ModelAnswer, held: Held, duration_ms: float
    ) -> ModelAnswer:
        facts, turn = self._facts, intent.turn
        async with self._services.database.transaction() as session:
            await self._purse.settle_reply(session, held, reply)
            if intent.may_end and reply.text.strip() and not reply.calls:
                after = await words_after(session, facts.run_id, key)
                reply = reply.model_copy(update={"after": after})
            used = Used(turn, reply.tokens_in, reply.tokens_out, reply.cost_usd or 0.0)
            await keep_reply(session, facts.run_id, key, reply.model_dump(mode="json"), used)
            await log.append(
                session, facts.run_id, f"model:{turn}", [turn_completed(turn, reply, duration_ms)]
            )
        self._count(reply)
        return reply

    def _count(self, reply: ModelReply) -> None:
        labels = (self._facts.role.value, self._provider)
        TURNS.labels(*labels).inc()
        TOKENS.labels(*labels, "in").inc(reply.tokens_in)
        TOKENS.labels(*labels, "out").inc(reply.tokens_out)
        COST_USD.labels(*labels).inc(reply.cost_usd or 0.0)
