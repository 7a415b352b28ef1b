"""Runs that have not ended, as a scrape sees them: counted in Postgres, kept for a moment, gone with it."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hypercode.domain.run import RunStatus, WaitReason
from hypercode.gateway.run_gauges import RunGauges
from hypercode.store.database import Database
from hypercode.store.runs import update_run
from hypercode.telemetry.metrics import QUEUE_AGE_SECONDS, RUNS, RUNS_WAITING

pytestmark = pytest.mark.anyio
Make = Callable[..., Awaitable[dict[str, str]]]


async def move(database: Database, run: dict[str, str], status: RunStatus, reason: str | None = None) -> None:
    async with database.transaction() as session:
        await update_run(session, run["run_id"], status=status.value, wait_reason=reason)


def shown(text: str, family: str) -> dict[tuple[str, ...], float]:
    """A gauge's values by its labels, without the process."""
    families = {each.name: each for each in text_string_to_metric_families(text)}
    return {
        tuple(value for name, value in sorted(sample.labels.items()) if name != "process"): sample.value
        for sample in families[family].samples
    }


async def test_a_scrape_sees_every_run_that_has_not_ended(
    admin: object, browser: httpx2.AsyncClient, database: Database, new_task: Make
) -> None:
    _, working, waiting, ended = [await new_task(routing="coder") for _ in range(4)]
    await move(database, working, RunStatus.RUNNING)
    await move(database, waiting, RunStatus.WAITING, WaitReason.APPROVAL.value)
    await move(database, ended, RunStatus.SUCCEEDED)
    text = (await browser.get("/metrics")).text
    runs = shown(text, "hypercode_runs")
    assert {labels: number for labels, number in runs.items() if number} == {
        ("coder", "queued"): 1,
        ("coder", "running"): 1,
        ("coder", "waiting"): 1,
    }
    assert runs["architect", "queued"] == 0
    assert shown(text, "hypercode_runs_waiting")["approval",] == 1
    ages = shown(text, "hypercode_queue_age_seconds")
    assert ages["architect",] == 0 < ages["coder",] < 60
    # A scraper that asks all the time costs Postgres nothing.
    await move(database, working, RunStatus.SUCCEEDED)
    assert shown((await browser.get("/metrics")).text, "hypercode_runs") == runs


async def test_without_postgres_there_are_no_numbers() -> None:
    RUNS.labels("coder", "queued").set(3)
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    await RunGauges(database).refresh()
    await database.dispose()
    assert [
        sample
        for gauge in (RUNS, RUNS_WAITING, QUEUE_AGE_SECONDS)
        for sample in next(iter(gauge.collect())).samples
    ] == []
