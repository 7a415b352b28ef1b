from datetime import date

import pytest

from scheduler.clock import parse, show
from scheduler.recurrence import days_in_month, is_leap, monthly, weekly


def test_weekly():
    assert weekly(date(2024, 1, 1), 2) == [date(2024, 1, 1), date(2024, 1, 8)]


def test_every_second_week():
    assert weekly(date(2024, 1, 1), 2, every=2)[1] == date(2024, 1, 15)


@pytest.mark.parametrize(("year", "leap"), [(2024, True), (2023, False), (1900, False), (2000, True)])
def test_leap_years(year, leap):
    assert is_leap(year) is leap


def test_short_month():
    assert days_in_month(2023, 2) == 28


def test_monthly_keeps_to_the_month():
    assert monthly(date(2024, 1, 31), 3)[1] == date(2024, 2, 29)


def test_monthly_goes_into_the_next_year():
    assert monthly(date(2023, 12, 5), 2)[1] == date(2024, 1, 5)


def test_times():
    assert (parse("9:30"), show(570)) == (570, "09:30")


def test_no_such_time():
    with pytest.raises(ValueError):
        parse("25:00")
