"""A process that spends a task's budget as the runs on a worker do, until it is killed: ``python -m tests.runs.spender``.

It takes its orders as arguments: the database, where it writes down what it was served, and the runs. Each run's calls have
names that go on where the process before it stopped, so that a killed call is repeated under its own name.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import cast

from hypercode.domain.budget import Amount, Need
from hypercode.llm.base import ModelReply
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import BUILT_IN
from hypercode.runs.budget import Purse, Stopped, Why
from hypercode.runs.services import Services
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.budgets import Held
from hypercode.store.database import Database
from hypercode.store.runs import get_run, update_run
from hypercode.verification.client import VerifierClient

MOST_IN, MOST_OUT, MOST_NANO = 600, 400, 5_000_000


async def spend(services: Services, run_id: str, task_id: str, served: int) -> None:
    """Call after call, until the budget is used up for good."""
    purse = Purse(services, run_id, task_id)
    dice = random.Random(f"{run_id}{os.getpid()}")
    async with services.database.transaction() as session:
        turn = (await get_run(session, run_id)).turns
    while True:
        turn += 1
        need = Need(Amount(turns=1, tokens=MOST_IN + MOST_OUT, cost_nano=MOST_NANO), 1_000_000)
        async with services.database.transaction() as session:
            answer = await purse.reserve(session, f"model:{turn}", need)
        if isinstance(answer, Stopped) and answer.why is not Why.CONTENDED:
            return
        held = await purse.granted(answer)
        if held is None:
            turn -= 1
            continue
        await _call(services, purse, held, turn, dice, served)


async def _call(
    services: Services, purse: Purse, held: Held, turn: int, dice: random.Random, served: int
) -> None:
    """The provider answers: from here on it is paid for, whatever becomes of the answer."""
    tokens_in, tokens_out = dice.randint(1, MOST_IN), dice.randint(0, MOST_OUT)
    nano = dice.randint(0, MOST_NANO)
    os.write(served, f"{held.run_id} {tokens_in + tokens_out} {nano}\n".encode())
    await asyncio.sleep(0)
    reply = ModelReply(
        text="", model="m", tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=nano / 1_000_000_000
    )
    async with services.database.transaction() as session:
        await purse.settle_reply(session, held, reply)
        await update_run(session, held.run_id, turns=turn)


async def main(url: str, directory: Path, pairs: list[str]) -> None:
    database = Database(url)
    services = Services(
        settings=Settings(data_dir=directory),
        database=database,
        artifacts=ArtifactStore(directory),
        platform=cast(PlatformClient, None),
        verifier=cast(VerifierClient, None),
        policy=BUILT_IN,
    )
    # O_APPEND: a line that was written stays, however the process ends.
    served = os.open(directory / "served", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    runs = [pair.split(":") for pair in pairs]
    await asyncio.gather(*(spend(services, run_id, task_id, served) for run_id, task_id in runs))
    await database.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
