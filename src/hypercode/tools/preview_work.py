"""The gateway's verbs of /platform: a person's request to what serves at a preview's address, and ending it."""

from contextlib import AbstractAsyncContextManager

from hypercode.domain.errors import NotFound
from hypercode.domain.web_exchange import WebAnswer
from hypercode.platform_api.previews import DeploymentStop, PreviewAsk
from hypercode.sandbox.apps import AppHttp
from hypercode.sandbox.base import Sandboxes
from hypercode.store.database import Database
from hypercode.store.deployments import serving_at
from hypercode.tools.deploying import Deploying


class PreviewWork:
    """The verbs. Which container serves is looked up here, never told by the caller."""

    def __init__(self, database: Database, sandboxes: Sandboxes) -> None:
        self._database = database
        self._sandboxes = sandboxes

    async def preview(self, asked: PreviewAsk) -> AbstractAsyncContextManager[WebAnswer]:
        """Return the exchange with what serves at the address."""
        async with self._database.transaction() as session:
            row = await serving_at(session, asked.preview_id)
        if row is None:
            raise NotFound("nothing is deployed here", hint="It was stopped, or its time is over.")
        return self._sandboxes.apps.http(
            AppHttp(container_id=row.container_id, owner=row.task_id, port=row.port, request=asked.request)
        )

    async def deployment_stop(self, asked: DeploymentStop) -> None:
        """End a deployment."""
        deploying = Deploying(self._database, self._sandboxes, 0)
        await deploying.stop(asked.task_id, asked.deployment_id, "stopped by a person")
