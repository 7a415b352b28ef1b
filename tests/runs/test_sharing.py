"""Whose turn it is: fair between projects, priority inside one, limits that no Architect is stuck behind."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hypercode.runs.sharing import Limit, share
from hypercode.settings import RunSettings
from hypercode.store.claims import Busy, Queued

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def queued(number: int, project: str = "a", user: str = "ada", **more: Any) -> Queued:
    fields: dict[str, Any] = {
        "priority": 0, "begun": False, "cancelled": False, "lost_at": None, "wait_reason": None, "served_at": None,
    }  # fmt: skip
    fields |= more
    return Queued(
        run_id=f"r{number}", segment=0, project_id=project, user_id=user,
        queued_at=BEGIN + timedelta(seconds=number), **fields,
    )  # fmt: skip


def taken(runs: list[Queued], room: int, busy: list[Busy] | None = None, **limits: int) -> list[str]:
    shares = share(runs, busy or [], RunSettings.model_validate(limits), room)
    return [run.run_id for run in shares.taken]


def test_a_project_with_a_hundred_tasks_leaves_room_for_one_with_two() -> None:
    many = [queued(number) for number in range(100)]
    few = [queued(200, "b"), queued(201, "b")]
    assert taken([*many, *few], room=4) == ["r0", "r200", "r1", "r201"]


def test_with_room_for_one_the_projects_take_turns() -> None:
    a, b = queued(1, served_at=BEGIN + timedelta(hours=1)), queued(2, "b", served_at=BEGIN)
    assert taken([a, b], room=1) == ["r2"]
    assert taken([a, queued(3, "new")], room=1) == ["r3"]


def test_who_has_fewer_runs_at_work_goes_first() -> None:
    assert taken([queued(1), queued(2, "b")], room=1, busy=[Busy("a", "ada", 3), Busy("b", "ada", 1)]) == [
        "r2"
    ]


def test_inside_a_project_priority_then_what_has_begun_then_age() -> None:
    runs = [queued(1), queued(2, begun=True), queued(3, priority=1), queued(4, priority=-1, begun=True)]
    assert taken(runs, room=4) == ["r3", "r2", "r1", "r4"]


def test_limits_hold_and_say_which() -> None:
    runs = [queued(1), queued(2), queued(3, "b", "bob")]
    shares = share(runs, [], RunSettings(per_project=1), room=8)
    assert ([run.run_id for run in shares.taken], shares.held) == (["r1", "r3"], {"r2": Limit.PROJECT})
    shares = share(runs, [Busy("c", "ada", 1)], RunSettings(per_user=1), room=8)
    assert ([run.run_id for run in shares.taken], set(shares.held.values())) == (["r3"], {Limit.USER})
    shares = share(runs, [Busy("c", "eve", 1)], RunSettings(per_platform=2), room=8)
    assert len(shares.taken) == 1
    assert set(shares.held.values()) == {Limit.PLATFORM}


def test_one_persons_limit_does_not_stop_another_in_the_same_project() -> None:
    runs = [queued(1), queued(2), queued(3, user="bob")]
    assert taken(runs, room=8, per_user=1) == ["r1", "r3"]


def test_a_cancelled_run_needs_no_room() -> None:
    busy = [Busy("a", "ada", 1)]
    assert taken([queued(1), queued(2, cancelled=True)], room=0, busy=busy, per_platform=1) == ["r2"]


RUNS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(-1, 1), st.booleans()), max_size=30
)
LIMIT = st.none() | st.integers(1, 4)


@given(RUNS, st.integers(0, 10), LIMIT, LIMIT, LIMIT)
def test_no_limit_is_passed_and_no_room_is_left_that_somebody_could_use(
    runs: list[tuple[str, str, int, bool]],
    room: int,
    user: int | None,
    project: int | None,
    platform: int | None,
) -> None:
    waiting = [
        queued(number, of, by, priority=priority, begun=begun)
        for number, (of, by, priority, begun) in enumerate(runs)
    ]
    limits = RunSettings(per_user=user, per_project=project, per_platform=platform)
    shares = share(waiting, [], limits, room)
    users = Counter(run.user_id for run in shares.taken)
    projects = Counter(run.project_id for run in shares.taken)
    assert len(shares.taken) <= min(room, platform or room)
    assert max(users.values(), default=0) <= (user or room)
    assert max(projects.values(), default=0) <= (project or room)
    if len(shares.taken) < room:
        left = {run.run_id for run in waiting} - {run.run_id for run in shares.taken}
        assert left == set(shares.held)
    if not any((user, project, platform)) and shares.taken:
        left_in = Counter(run.project_id for run in waiting) - projects
        assert all(projects[of] + 1 >= max(projects.values()) for of in left_in)
