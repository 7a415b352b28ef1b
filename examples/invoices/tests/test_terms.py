from datetime import date

import pytest

from invoices.terms import days_late, due_date, parse_date, payment_dates


def test_iso_dates():
    assert parse_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("terms", "due"),
    [("net30", date(2024, 3, 1)), ("net0", date(2024, 1, 31)), ("eom", date(2024, 1, 31)),
     ("1m", date(2024, 2, 29))],
)
def test_due_dates(terms, due):
    assert due_date(date(2024, 1, 31), terms) == due


def test_unknown_terms():
    with pytest.raises(ValueError, match="unknown"):
        due_date(date(2024, 1, 31), "soon")


def test_paid_in_time_is_not_late():
    assert days_late(date(2024, 1, 31), date(2024, 1, 30)) == 0


def test_days_late():
    assert days_late(date(2024, 1, 31), date(2024, 2, 2)) == 2


def test_payment_dates():
    assert payment_dates(date(2024, 1, 31), 2) == [date(2024, 2, 29), date(2024, 3, 31)]
