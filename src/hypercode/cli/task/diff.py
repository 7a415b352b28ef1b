"""``hypercode task diff``."""

import json
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.task.platform import with_platform
from hypercode.cli.task.target import AsJson, Target
from hypercode.domain.snapshot import Comparison
from hypercode.platform_api.client import PlatformClient
from hypercode.platform_api.snapshots import SnapshotCompare
from hypercode.store.snapshots import pair_at
from hypercode.store.tables import RunRow

From = Annotated[
    int | None, typer.Option("--from", min=0, metavar="SEQ", help="An event's number; else the run's start.")
]
To = Annotated[
    int | None, typer.Option("--to", min=0, metavar="SEQ", help="An event's number; else its end.")
]


def diff(target: Target, from_: From = None, to: To = None, as_json: AsJson = False) -> None:
    """Show what changed in a run's workspace between two of its events, ignored files and all.

    `hypercode show` and the web page number the events. The workspace at an event is what the newest writing call at
    or before it left.
    """

    async def read(session: AsyncSession, run: RunRow) -> tuple[int, int, SnapshotCompare]:
        old, new = await pair_at(session, run.id, from_, to)
        asked = SnapshotCompare(run_id=run.id, old=old.snapshot_id, new=new.snapshot_id)
        return old.seq, new.seq, asked

    async def work(
        client: PlatformClient, found: tuple[int, int, SnapshotCompare]
    ) -> tuple[int, int, str, Comparison]:
        from_seq, to_seq, asked = found
        return from_seq, to_seq, asked.run_id, await client.snapshot_compare(asked)

    from_seq, to_seq, run_id, compared = with_platform(target, read, work)
    if as_json:
        told = {"run_id": run_id, "from_seq": from_seq, "to_seq": to_seq}
        typer.echo(json.dumps({**told, **compared.model_dump()}))
        return
    # For `git apply` and pagers as it is; a terminal gets no control characters of a repository's.
    typer.echo(
        compared.diff if not typer.get_text_stream("stdout").isatty() else _shown(compared.diff), nl=False
    )
    listed = {line.path for line in compared.files if f" b/{line.path}\n" in compared.diff}
    for each in compared.files:
        if each.path not in listed:
            typer.echo(f"# {each.status}: {_shown(each.path)}", err=True)
    if compared.truncated:
        typer.echo(
            f"# not everything is shown: {compared.total} paths changed, {len(compared.left_out)} are too large",
            err=True,
        )


def _shown(text: str) -> str:
    return "".join(each if each in "\n\t" or each.isprintable() else "\ufffd" for each in text)
