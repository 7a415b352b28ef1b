"""What a worker works with, built once and passed on."""

from dataclasses import dataclass, field

from hypercode.domain.event import Payload
from hypercode.events.log import append, append_alone
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.rules import Policy
from hypercode.runs.control import RunControl
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import Database
from hypercode.store.runs import update_run
from hypercode.verification.client import VerifierClient


@dataclass(frozen=True)
class Services:
    """The doors to everything outside the worker, and the signals that reach into it."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    platform: PlatformClient
    verifier: VerifierClient
    policy: Policy
    control: RunControl = field(default_factory=RunControl)

    async def record(self, run_id: str, step_key: str, *payloads: Payload, **columns: object) -> None:
        """Append events and change the run's row, together or not at all; a repeat appends nothing."""
        if not columns:
            await append_alone(self.database, run_id, step_key, payloads)
            return
        async with self.database.transaction() as session:
            # The run before its events: in the same order as whoever decides what the run waits for.
            await update_run(session, run_id, **columns)
            await append(session, run_id, step_key, payloads)
