"""The secrets of runs: given to one process at a time, and kept out of everything that leaves the run's calls."""

import asyncio
from collections.abc import Sequence

from hypercode.domain.errors import Conflict, NotFound, SecretInDiff
from hypercode.domain.event import SecretUsed
from hypercode.domain.grant import Grant
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.store.database import Database
from hypercode.store.runs import get_run
from hypercode.store.sealing import unseal
from hypercode.store.secrets import belongs_to, forget_values, known_to, list_secrets, use_secrets
from hypercode.store.tables import SecretUseRow
from hypercode.tools.diff_texts import added
from hypercode.tools.redaction import Redactor
from hypercode.tools.registry import Tool, ToolContext, ToolReply

_NOTHING = Redactor([])


class Secrets:
    """What the runs of this process were given. After a restart it is read again from the rows of their uses."""

    def __init__(self, database: Database, private_hex: str) -> None:
        self._database = database
        self._private_hex = private_hex
        self._values: dict[str, dict[tuple[str, int], str]] = {}
        self._redactors: dict[str, Redactor] = {}

    async def prepare(self, run_id: str) -> None:
        """Know what a run and those above it were given before; cheap when this process knows it already."""
        if run_id in self._redactors:
            return
        async with self._database.transaction() as session:
            uses = await known_to(session, run_id)
        self._learn(run_id, uses)

    def redactor(self, run_id: str) -> Redactor:
        """What keeps the values of a prepared run out of texts."""
        return self._redactors.get(run_id, _NOTHING)

    async def use(self, grant: Grant, names: Sequence[str]) -> dict[str, str]:
        """Open secrets for a process of a run; that the run has them is written down before. Raises NotFound."""
        async with self._database.transaction() as session:
            run = await get_run(session, grant.run_id)
            if run.project_id != grant.project_id or run.organisation_id != grant.organisation_id:
                raise NotFound("the grant does not fit its run")
            if RunStatus(run.status).ended:
                raise Conflict("the run has ended")
            uses = await use_secrets(session, run, names)
            for use in uses:
                used = SecretUsed(name=use.name, version=use.version)
                await log.append(session, run.id, f"secret:{use.name}:{use.version}", [used])
            values = {use.name: self._opened(use) for use in uses}
        self._learn(grant.run_id, uses)
        return values

    async def forget(self, run_id: str) -> None:
        """Forget the values that a run was given, once nothing of it can leave any more."""
        async with self._database.transaction() as session:
            await forget_values(session, run_id)
        self._values.pop(run_id, None)
        self._redactors.pop(run_id, None)

    async def check_diff(self, run_id: str, diff: str) -> None:
        """Raise SecretInDiff when what the diff adds holds a value that the run was given."""
        await self.prepare(run_id)
        redactor = self.redactor(run_id)
        if not redactor.knows_any:
            return
        found = await asyncio.to_thread(_named, redactor, diff)
        if found:
            told = "; ".join(
                f"{', '.join(sorted(names))} in {redactor.text(path)}" for path, names in found.items()
            )
            raise SecretInDiff(
                f"the diff holds the value of a secret: {told[:1000]}",
                hint="The diff stays inside. Start the task again, and say that the value belongs in no file.",
            )

    def scrub(self, text: str) -> str:
        """Keep the values of all runs of this process out of a text, such as a line of the log."""
        for redactor in self._redactors.values():
            text = redactor.text(text)
        return text

    async def names(self, project_id: str) -> list[str]:
        """The names of a project's secrets."""
        async with self._database.transaction() as session:
            return [secret.name for secret in await list_secrets(session, project_id)]

    def tools(self) -> tuple[Tool[Arguments], ...]:
        """The group's tools."""
        return (
            Tool(
                "secret_list",
                "List the names of the project's secrets, for `secrets` of sh_exec, sh_start and test_run. "
                "Values are never shown.",
                Arguments,
                SecretNamesListed,
                self._list,
                read_only=True,
                repeatable=True,
            ),
        )

    async def _list(self, context: ToolContext, _: Arguments) -> ToolReply:
        names = await self.names(context.grant.project_id)
        return ToolReply(SecretNamesListed(names=names), "\n".join(names) or "The project has no secrets.")

    def _learn(self, run_id: str, uses: Sequence[SecretUseRow]) -> None:
        known = self._values.setdefault(run_id, {})
        known |= {(use.name, use.version): self._opened(use) for use in uses if use.sealed is not None}
        pairs = [(name, value) for (name, _), value in known.items()]
        self._redactors[run_id] = Redactor(pairs) if pairs else _NOTHING

    def _opened(self, use: SecretUseRow) -> str:
        if use.sealed is None:
            raise Conflict("the run has given this secret back")
        return unseal(self._private_hex, use.sealed, belongs_to(use)).decode()


class SecretNamesListed(Closed):
    """Names only."""

    names: list[str]


def _named(redactor: Redactor, diff: str) -> dict[str, set[str]]:
    """The names of the secrets whose values a diff adds, by file."""
    found = dict[str, set[str]]()
    for path, text in added(diff):
        if names := redactor.names_in(f"{path}\n{text}"):
            found.setdefault(path, set()).update(names)
    return found
