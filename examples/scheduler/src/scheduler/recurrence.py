"""Dates that come again."""

from __future__ import annotations

from datetime import date, timedelta


def weekly(start: date, count: int, every: int = 1) -> list[date]:
    return [start + timedelta(weeks=every * number) for number in range(count)]


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def monthly(start: date, count: int) -> list[date]:
    """The same day of each month, or the month's last when it has no such day."""
    dates: list[date] = []
    for number in range(count):
        years, month = divmod(start.month - 1 + number, 12)
        year = start.year + years
        day = min(start.day, days_in_month(year, month + 1))
        dates.append(date(year, month + 1, day))
    return dates
