"""When an invoice has to be paid."""

from __future__ import annotations

from datetime import date

from dateutil.parser import isoparse
from dateutil.relativedelta import relativedelta


def parse_date(text: str) -> date:
    return isoparse(text).date()


def due_date(issued: date, terms: str) -> date:
    """`net30` is thirty days on, `eom` the end of the month, `2m` two months on."""
    if terms.startswith("net"):
        return issued + relativedelta(days=int(terms[3:]))
    if terms == "eom":
        return issued + relativedelta(day=31)
    if terms.endswith("m"):
        return issued + relativedelta(months=int(terms[:-1]))
    raise ValueError(f"unknown terms: {terms}")


def days_late(due: date, paid: date) -> int:
    return max(0, (paid - due).days)


def payment_dates(issued: date, count: int) -> list[date]:
    return [issued + relativedelta(months=number) for number in range(1, count + 1)]
