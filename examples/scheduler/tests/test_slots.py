from scheduler.intervals import Interval
from scheduler.slots import first_common_slot, free_slots

DAY = Interval(9 * 60, 17 * 60)


def test_an_empty_day_is_free():
    assert free_slots(DAY, []) == [DAY]


def test_time_round_a_meeting():
    free = free_slots(DAY, [Interval(600, 660)])
    assert free == [Interval(540, 600), Interval(660, 1020)]


def test_short_gaps_are_left_out():
    free = free_slots(DAY, [Interval(540, 600), Interval(610, 1020)])
    assert free == []


def test_common_slot():
    people = [[Interval(540, 600)], [Interval(590, 660)]]
    assert first_common_slot(DAY, people, 30) == Interval(660, 690)


def test_no_common_slot():
    assert first_common_slot(DAY, [[DAY]], 30) is None
