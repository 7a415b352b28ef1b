"""Runs a recorded run again: the real workflow and the real loop, with the recorded answers in place of the world.

Each step must come in its recorded order, ask what it asked, and be told by the same events. Where the first does not, the
replay stops: the answers that follow belong to another question. ADR 0026 defines what is compared.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.event import RunFinished
from hypercode.events.digest import digest_of, digest_of_all, said
from hypercode.events.eras import era_of, in_era
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import BUILT_IN
from hypercode.runs.asked import digest_of as question_of
from hypercode.runs.divergence import Difference, Divergence
from hypercode.runs.ending import Used
from hypercode.runs.recording import RecordedEvent, Recording
from hypercode.runs.retelling import Retelling, step_of
from hypercode.runs.services import Services
from hypercode.runs.step import ASKED, Work, result_of
from hypercode.runs.waiting import Waiting
from hypercode.runs.workflow import RunWorkflow
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import Database
from hypercode.verification.client import VerifierClient

NOWHERE = Path("/nonexistent/hypercode")
NOTHING_USED = Used(cost=0.0, tokens_in=0, tokens_out=0, turns=0, elapsed_s=0.0)


class ReplayedStep(BaseModel):
    """A step and the digest of what it was asked and what it told."""

    name: str
    digest: str


class Report(BaseModel):
    """What a replay came to. ``complete`` is False where the recording ends before the run did."""

    run_id: str
    same: bool
    complete: bool
    intact: bool
    steps: list[ReplayedStep]
    expected_digest: str
    digest: str
    divergence: Divergence | None


class _Ends(Exception):
    """The recording holds no further step."""


async def replay(recording: Recording, before: Recording | None = None) -> Report:
    """Run it again. ``before`` is the recording without what was changed in this one, to show both sides of a question."""
    unchanged = None if before is None else await _run(before)
    return (await _run(recording, unchanged)).report()


async def _run(recording: Recording, unchanged: "RecordedSteps | None" = None) -> "RecordedSteps":
    steps = RecordedSteps(recording, unchanged.asked if unchanged else {})
    services, run_id = _no_world(), recording.run.run_id
    try:
        await RunWorkflow(services, run_id, Waiting(services, run_id, 0), steps).go()
        steps.over()
    except _Ends:
        pass
    except Difference as difference:
        steps.divergence = difference.divergence
    except (ValidationError, LookupError, ValueError, TypeError) as error:
        raise InvalidArgument(
            f"Step {steps.at} can't be replayed: {error}", hint="Was the recording changed by hand?"
        ) from error
    finally:
        await services.database.dispose()
    return steps


def _no_world() -> Services:
    """Doors that lead nowhere: a replay that opened one would fail, and reach nothing."""
    return Services(
        settings=Settings(data_dir=NOWHERE),
        database=Database("postgresql://nobody@replay.invalid/none"),
        artifacts=ArtifactStore(NOWHERE),
        platform=PlatformClient(NOWHERE, ""),
        verifier=VerifierClient(NOWHERE, ""),
        policy=BUILT_IN,
    )


class RecordedSteps:
    """The steps of a recorded run: each is answered from the recording, and its events are told again and compared."""

    def __init__(self, recording: Recording, asked_before: dict[str, BaseModel]) -> None:
        self._recording = recording
        self._order = list(recording.steps)
        self._asked_before = asked_before
        self._recorded = _by_step(recording)
        self._retelling = Retelling(_used(recording.events), recording.run.protected_paths)
        self.asked: dict[str, BaseModel] = {}
        self.done: list[ReplayedStep] = []
        self._retold: dict[tuple[str, int], str] = {}
        self.divergence: Divergence | None = None
        self.at = ""

    @property
    def due(self) -> str | None:
        """The recorded step that comes next."""
        return self._order[len(self.done)] if len(self.done) < len(self._order) else None

    async def do(
        self, name: str, work: Work, *, asked: BaseModel | None = None, cancellable: bool = True
    ) -> dict[str, Any]:
        """Answer a step; raises Difference where it is another step, another question or another story."""
        if self.due is None:
            raise _Ends
        if name != self.due:
            raise Difference.of_steps(self.due, name, asked)
        self.at, step = name, self._recording.steps[name]
        result = step.result
        question = "" if asked is None else self._compare_question(name, result.get(ASKED), asked)
        told: list[str] = []
        if "ok" in result and not step.inherited:
            with era_of(step.era):
                told = self._told(name, result["ok"], asked)
        self.done.append(ReplayedStep(name=name, digest=digest_of_all([question, *told])))
        return result_of(result)

    def over(self) -> None:
        """The workflow has come to its end: so must the recording have."""
        if self.due is not None:
            raise Difference.of_steps(self.due, "the end of the run", None)

    def report(self) -> Report:
        recorded = [(event, digest_of(said(event.type, event.payload))) for event in self._recording.events]
        came = [self._retold.get((event.step_key, event.n), digest) for event, digest in recorded]
        ended = any(event.type == RunFinished.type for event in self._recording.events)
        return Report(
            run_id=self._recording.run.run_id,
            same=self.divergence is None,
            complete=ended and self.divergence is None,
            intact=self._recording.intact,
            steps=self.done,
            expected_digest=digest_of_all(digest for _, digest in recorded),
            digest=digest_of_all(came),
            divergence=self.divergence,
        )

    def _compare_question(self, name: str, recorded: object, asked: BaseModel) -> str:
        self.asked[name] = asked
        question = question_of(asked)
        # A run of an older version kept no digest of its questions.
        if isinstance(recorded, str) and recorded != question:
            raise Difference.of_questions(name, recorded, question, self._asked_before.get(name), asked)
        return question

    def _told(self, name: str, result: dict[str, Any], asked: BaseModel | None) -> list[str]:
        recorded = self._recorded[in_era(name)]
        told = {
            (in_era(key), n): said(payload.type, payload.model_dump(mode="json"))
            for key, payloads in self._retelling.tell(name, result, asked)
            for n, payload in enumerate(payloads)
        }
        if not told:
            return []
        for place in [*recorded, *(place for place in told if place not in recorded)]:
            expected, came = recorded.get(place), told.get(place)
            self._retold[place] = digest_of(came)
            if expected != came:
                raise Difference.of_events(name, place[0], expected, came)
        return [digest_of(came) for came in told.values()]


def _by_step(recording: Recording) -> defaultdict[str, dict[tuple[str, int], dict[str, Any]]]:
    steps: defaultdict[str, dict[tuple[str, int], dict[str, Any]]] = defaultdict(dict)
    for event in recording.events:
        if (step := step_of(event.step_key, event.n)) is not None:
            steps[step][event.step_key, event.n] = said(event.type, event.payload)
    return steps


def _used(events: Sequence[RecordedEvent]) -> Used:
    """What the platform's books said at the end; they are not the run's to decide."""
    for event in events:
        if event.type == RunFinished.type:
            return Used.model_validate({name: event.payload[name] for name in Used.model_fields})
    return NOTHING_USED
