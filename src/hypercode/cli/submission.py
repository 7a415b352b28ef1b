"""One task handed in from the terminal: accepted, followed to its last event, its results shown."""

import asyncio
from pathlib import Path

from hypercode.cli.asking import Approve, Asking
from hypercode.cli.ending import show_ending
from hypercode.cli.show import Show
from hypercode.cli.supervisor import State
from hypercode.domain.event import Event, RunFinished
from hypercode.domain.project import SourceKind
from hypercode.domain.steering import Cancel, Verb
from hypercode.domain.task import NewTask
from hypercode.events.live import LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.gateway.acceptance import accept_task
from hypercode.runs.attempts import read_grant_key
from hypercode.runs.steering import Steering
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import Database, open_database
from hypercode.store.objects import open_objects
from hypercode.store.projects import ensure_project
from hypercode.store.runs import get_run
from hypercode.store.users import ensure_local_user, to_domain


class Submission:
    """``interrupted`` says that a person pressed Ctrl-C: then a cancelled wait means that the run is to be cancelled."""

    def __init__(
        self, settings: Settings, repo: Path, show: Show, interrupted: asyncio.Event, approve: str
    ) -> None:
        self._settings = settings
        self._repo = repo
        self._show = show
        self._interrupted = interrupted
        self._approve = Approve(approve)

    async def follow(self, platform: State, request: NewTask, patch_out: Path | None) -> RunFinished:
        database = open_database(platform.database_url, platform.redis_url)
        try:
            run_id = await self._hand_in(database, request)
            async with LiveEvents(database, wake_ups(database, RUN_EVENTS)) as live:
                asking = Asking(database, live, self._settings.approvals, self._approve)
                try:
                    finished = await self._watch(database, live, run_id, asking)
                finally:
                    await asking.close()
            return await self._conclude(database, finished, patch_out)
        finally:
            await database.dispose()

    async def _hand_in(self, database: Database, request: NewTask) -> str:
        async with database.transaction() as session:
            user = to_domain(await ensure_local_user(session))
            project = await ensure_project(
                session, user.organisation_id, source_kind=SourceKind.LOCAL_PATH, source=str(self._repo),
                name=self._repo.name or "root",
            )  # fmt: skip
            asked = request.model_copy(update={"project_id": project.id})
            accepted = await accept_task(session, read_grant_key(self._settings.keys_dir), user, asked)
        return accepted.run_id

    async def _watch(self, database: Database, live: LiveEvents, run_id: str, asking: Asking) -> Event:
        """Show events until the last one; Ctrl-C cancels the run and still waits for its last words."""
        after = 0
        while True:
            try:
                async for event in live.subscribe(run_id, after):
                    after = event.seq
                    if event.type == RunFinished.type:
                        return event
                    self._show.event(event)
                    asking.saw(event)
            except asyncio.CancelledError:
                if not self._interrupted.is_set():
                    raise
                self._show.say("Cancelling; the diff so far is kept")
                async with database.transaction() as session:
                    user = to_domain(await ensure_local_user(session))
                    steering = Steering(session, user, self._settings.keys_dir)
                    await steering.give(await get_run(session, run_id), Cancel(verb=Verb.CANCEL))

    async def _conclude(self, database: Database, finished: Event, patch_out: Path | None) -> RunFinished:
        artifacts = ArtifactStore(open_objects(self._settings))
        payload, diff = await show_ending(database, artifacts, self._show, finished)
        if patch_out is not None:
            patch_out.write_bytes(diff)
        return payload
