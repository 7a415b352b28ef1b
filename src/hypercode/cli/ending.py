"""The end of a run in the terminal: its last event with the diff and the attestation that it names."""

import json

from hypercode.cli.show import Show
from hypercode.domain.event import Event, RunFinished
from hypercode.store.artifacts import ArtifactStore, get_artifact
from hypercode.store.database import Database


async def show_ending(
    database: Database, artifacts: ArtifactStore, show: Show, finished: Event
) -> tuple[RunFinished, bytes]:
    """Show how the run ended; returns what its last event says, and the diff."""
    payload = RunFinished.model_validate(finished.payload)
    async with database.transaction() as session:
        diff, attestation = [
            await artifacts.read(await get_artifact(session, artifact)) if artifact else b""
            for artifact in (payload.diff, payload.attestation)
        ]
    show.finished(
        finished, payload, diff.decode(errors="replace"), json.loads(attestation) if attestation else None
    )
    return payload, diff
