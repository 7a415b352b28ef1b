"""ask_user: the call is answered once a person has answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update

from hypercode.agents.mcp_client import ToolSession
from hypercode.events import log
from hypercode.sandbox.base import Sandboxes
from hypercode.store.database import Database
from hypercode.store.tables import QuestionRow
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys

pytestmark = pytest.mark.anyio
ASKS = {"question": "Which database?", "options": ["Postgres", "SQLite"]}


@pytest.fixture
async def socket(
    database: Database, keys: PlatformKeys, sockets: Path, listening: Any
) -> AsyncIterator[Path]:
    path = sockets / "tools.sock"
    async with listening(create_app(database, cast(Sandboxes, None), keys).mcp, path):
        yield path


async def test_a_question_is_asked_once_and_its_answer_is_the_result(
    socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    async with ToolSession(socket, minting.token(run)) as tools:
        first = await tools.call("ask_user", ASKS, key="k1")
        again = await tools.call("ask_user", ASKS, key="k2")
        other = await tools.call("ask_user", {"question": "Which port?"}, key="k3")
        assert {first.code, again.code, other.code} == {"PENDING_ANSWER"}
        assert first.data["question_id"] == again.data["question_id"] != other.data["question_id"]
        async with database.transaction() as session:
            await session.execute(
                update(QuestionRow)
                .where(QuestionRow.id == first.data["question_id"])
                .values(state="answered", answer="SQLite", answered_by="usr_x")
            )
        answered = await tools.call("ask_user", ASKS, key="k4")
        assert answered.ok, answered.text
        assert answered.data == {"question_id": first.data["question_id"], "answer": "SQLite"}
        assert (await tools.call("ask_user", {"question": ""}, key="k5")).code == "INVALID_ARGUMENT"
    async with database.transaction() as session:
        asked = [event.payload["question"] for event in await log.read(session, run.id)]
    assert asked == ["Which database?", "Which port?"]
