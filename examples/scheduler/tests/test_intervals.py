import pytest

from scheduler.intervals import Interval, merged


def test_an_interval_has_a_length():
    assert Interval(60, 90).length == 30


def test_an_empty_interval_is_refused():
    with pytest.raises(ValueError):
        Interval(60, 60)


def test_overlap():
    assert Interval(0, 60).overlaps(Interval(59, 70))


def test_touching_is_no_overlap():
    assert not Interval(0, 60).overlaps(Interval(60, 70))


def test_the_end_is_outside():
    interval = Interval(0, 60)
    assert interval.contains(0) and not interval.contains(60)


def test_overlapping_intervals_are_joined():
    assert merged([Interval(30, 90), Interval(0, 60)]) == [Interval(0, 90)]


def test_touching_intervals_are_joined():
    assert merged([Interval(0, 60), Interval(60, 90)]) == [Interval(0, 90)]


def test_separate_intervals_stay():
    assert merged([Interval(0, 10), Interval(20, 30)]) == [Interval(0, 10), Interval(20, 30)]


def test_an_interval_inside_another_changes_nothing():
    assert merged([Interval(0, 120), Interval(30, 60)]) == [Interval(0, 120)]
