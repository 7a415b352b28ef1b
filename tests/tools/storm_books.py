"""What has to hold after the storm: the books of every call, and the effects that can be counted."""

import re
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import select
from storm import Said, token

from hypercode.domain.memory import MemoryKind
from hypercode.mcp_protocol.schemas import canonical_json
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.audit_proof import prove_audit
from hypercode.store.audit_seals import seal_run
from hypercode.store.database import Database
from hypercode.store.tables import JournalRow, MemoryRow, PlanRow, QuestionRow, RunRow

_TOKEN = re.compile(re.escape(token("@")).replace("@", r"([\w-]+)"))
BETWEEN = "between-"
"""What the keys of the test's own calls begin with, before and after the storm."""
ELSEWHERE = ("container_exec", "container_run")
"""Their effects are counted while their container is there."""


async def exact_books(database: Database, run_id: str, said: list[Said], repeatable: set[str]) -> None:
    """Every call has one decision and one outcome, in this order, and the journal says what the caller was told."""
    async with database.transaction() as session:
        rows = await read_audit(session, run_id)
        assert (await verify_chain(session, run_id)).ok
        journal = {
            row.key: row
            for row in await session.scalars(select(JournalRow).where(JournalRow.run_id == run_id))
            if not row.key.startswith(BETWEEN)
        }
    kinds = Counter((row.call_id, row.kind) for row in rows)
    assert set(kinds.values()) == {1}, [each for each, times in kinds.items() if times > 1]
    decided = {row.call_id: row for row in rows if row.kind == "decision"}
    ended = {row.call_id: row for row in rows if row.kind == "outcome"}
    assert decided.keys() == ended.keys(), decided.keys() ^ ended.keys()
    assert all(decided[call_id].seq < ended[call_id].seq for call_id in decided)
    assert journal.keys() == {each.key for each in said}, journal.keys() ^ {each.key for each in said}
    attempts: dict[str, list[str]] = {}
    for row in rows:
        if row.kind == "outcome" and not row.call_id.startswith(BETWEEN):
            attempts.setdefault(row.call_id.partition("~")[0], []).append(row.body["outcome"])
    assert attempts.keys() == journal.keys()
    for each in said:
        _told_the_truth(each, journal[each.key], attempts[each.key], each.tool in repeatable)


def _told_the_truth(said: Said, row: JournalRow, outcomes: list[str], repeatable: bool) -> None:
    about = (said.tool, said.key, said.code, row.state, outcomes)
    assert row.tool == said.tool, about
    if not repeatable:
        assert len(outcomes) == 1, about
    assert {*outcomes[:-1]} <= {"unknown"}, about
    if said.code == "UNCERTAIN":
        assert not repeatable, about
        assert (row.state, outcomes[-1]) == ("unknown", "unknown"), about
        return
    assert (row.state, outcomes[-1]) == ("done", said.code), about
    assert row.result is not None, about
    assert row.result["ok"] == said.ok, about
    assert row.result["data"] == said.outcome.data, about


async def sealed(database: Database, run_ids: Iterable[str]) -> None:
    """The chains of all runs are sealed into the platform's, and the whole of it holds."""
    for run_id in run_ids:
        async with database.transaction() as session:
            await seal_run(session, run_id)
    async with database.transaction() as session:
        proof = await prove_audit(session)
    assert proof.ok, proof.problem


def no_effect_twice(said: list[Said], effects: Counter[str], must: set[str]) -> int:
    """No call left its trace twice; whoever was told OK has left it. Returns how many could be counted."""
    assert {key: times for key, times in effects.items() if times > 1} == {}
    counted = {
        each.key: each
        for each in said
        if each.tool not in ELSEWHERE and token(each.key) in canonical_json(each.arguments).decode()
    }
    missing = {key for key, each in counted.items() if each.ok} | must
    assert missing - effects.keys() == set()
    return len(counted)


def traces(words: str) -> Counter[str]:
    """The keys whose traces stand in a text, and how often."""
    return Counter(_TOKEN.findall(words))


async def traces_in_rows(database: Database) -> Counter[str]:
    """The same of the rows that calls make: memories, plans, delegated runs, questions."""
    found: Counter[str] = Counter()
    async with database.transaction() as session:
        for memory in await session.scalars(select(MemoryRow)):
            decision = memory.kind == MemoryKind.DECISION.value
            found += traces(str(memory.details) + memory.text if decision else memory.text)
        for plan in await session.scalars(select(PlanRow)):
            found += traces(" ".join(item["title"] for item in plan.plan["items"]))
        for goal in await session.scalars(select(RunRow.goal)):
            found += traces(goal)
        for question in await session.scalars(select(QuestionRow.question)):
            found += traces(question)
    return found
