"""What is kept of a run in memory is bounded, whatever its watchers do, and each watcher gets the right part of it."""

from datetime import UTC, datetime

import anyio
import pytest

from hypercode.domain.delta import Delta
from hypercode.events import tail as tails
from hypercode.events.line import Line
from hypercode.events.place import FellBehind, Place
from hypercode.events.tail import SAID_CHARACTERS, Tail

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)


def line(seq: int, type_: str = "notice.raised", text: str = "") -> Line:
    return Line("run_1", seq, type_, NOW, f'{{"text":"{text}"}}')


def delta(text: str, at: int = 0, attempt: str = "a", turn: int = 1) -> Delta:
    return Delta(run_id="run_1", turn=turn, attempt=attempt, at=at, text=text)


async def nothing(_: int, __: int) -> list[Line]:
    return []


def followed(tail: Tail, after: int = 0) -> Place:
    place = Place(tail, nothing, after)
    tail.watchers.add(place.woken)
    return place


async def seqs(place: Place) -> list[int]:
    return [item.seq for item in await place.take(0) if isinstance(item, Line)]


async def texts(place: Place) -> list[tuple[int, str]]:
    return [(item.at, item.text) for item in await place.take(0) if isinstance(item, Delta)]


def begun(head: int = 0) -> Tail:
    tail = Tail("run_1")
    tail.begin(head)
    return tail


async def test_a_watcher_reads_the_log_until_the_tail_reaches_back_far_enough() -> None:
    tail = begun(head=3)
    asked: list[int] = []

    async def read(after: int, most: int) -> list[Line]:
        asked.append(after)
        return [line(seq) for seq in (1, 2, 3) if seq > after][:most]

    place = Place(tail, read, 0)
    assert await seqs(place) == [1, 2, 3]
    tail.publish([line(4), line(5)])
    assert await seqs(place) == [4, 5]
    assert await seqs(Place(tail, read, 4)) == [5]
    assert asked == [0]


async def test_who_falls_behind_what_is_kept_is_told_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tails, "KEPT_EVENTS", 10)
    tail = begun()
    slow, quick = followed(tail), followed(tail)
    seen: list[int] = []
    assert await seqs(slow) == []
    for seq in range(1, 41):
        tail.publish([line(seq)])
        seen += await seqs(quick)
    assert seen == list(range(1, 41))
    with pytest.raises(FellBehind):
        await slow.take(0)


async def test_what_is_kept_is_bounded_by_size_too() -> None:
    tail = begun()
    for seq in range(1, 301):
        tail.publish([line(seq, text="x" * 20_000)])
    kept = tail.since(tail.start or 0, 300)
    assert sum(len(each.json) for each in kept) <= tails.KEPT_CHARACTERS
    assert kept[-1].seq == 300


async def test_a_slow_watcher_gets_fewer_and_longer_deltas_and_one_text_is_kept_for_all() -> None:
    tail = begun()
    quick, slow, late = followed(tail), followed(tail), followed(tail)
    assert await texts(quick) == await texts(slow) == []
    heard: list[tuple[int, str]] = []
    for at, word in ((0, "one "), (4, "two "), (8, "three")):
        tail.hear([delta(word, at)])
        heard += await texts(quick)
    assert heard == [(0, "one "), (4, "two "), (8, "three")]
    assert await texts(slow) == await texts(late) == [(0, "one two three")]
    for at in range(13, SAID_CHARACTERS * 2, 1000):
        tail.hear([delta("x" * 1000, at)])
    ((at, text),) = await texts(slow)
    assert len(text) == SAID_CHARACTERS
    assert at + len(text) == tail.said.end if tail.said else False


async def test_a_lost_delta_shows_as_a_gap_and_another_attempt_begins_anew() -> None:
    tail = begun()
    place = followed(tail)
    tail.hear([delta("one ")])
    assert await texts(place) == [(0, "one ")]
    tail.hear([delta("three", at=8)])
    assert await texts(place) == [(8, "three")]
    tail.hear([delta("", attempt="b")])
    assert await texts(place) == [(0, "")]
    tail.hear([delta("again", attempt="b")])
    assert await texts(place) == [(0, "again")]


async def test_the_turns_event_ends_its_deltas_and_late_ones_are_dropped() -> None:
    tail = begun()
    place = followed(tail)
    tail.hear([delta("half a sen")])
    tail.publish([line(1, "turn.completed")])
    assert [type(item) for item in await place.take(0)] == [Line]
    tail.hear([delta("tence", at=10)])
    assert await place.take(0) == []
    tail.hear([delta("next", attempt="b", turn=2)])
    assert await texts(place) == [(0, "next")]


async def test_a_watcher_sleeps_until_there_is_something() -> None:
    tail = begun()
    place = followed(tail)
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            with anyio.fail_after(5):
                assert [item.seq for item in await place.take(None) if isinstance(item, Line)] == [1]

        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        tail.publish([line(1)])
