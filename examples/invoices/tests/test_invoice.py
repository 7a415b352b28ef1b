from datetime import date
from decimal import Decimal

import pytest

from invoices.invoice import Invoice, Line
from invoices.printing import as_text


@pytest.fixture
def invoice() -> Invoice:
    invoice = Invoice("2024-7", date(2024, 1, 1))
    invoice.add(Line("Desk", 2, Decimal("100.00")))
    invoice.add(Line("Book", 1, Decimal("9.99"), tax_rate=Decimal("0.10")))
    return invoice


def test_net(invoice):
    assert invoice.net == Decimal("209.99")


def test_tax_is_rounded_for_each_line(invoice):
    assert invoice.tax == Decimal("41.00")


def test_total(invoice):
    assert invoice.total == Decimal("250.99")


def test_late_fee(invoice):
    assert invoice.late_fee(date(2024, 2, 4)) == Decimal("2.00")


def test_text(invoice):
    text = as_text(invoice)
    assert "Desk" in text and text.endswith("Total 250.99, due 2024-01-31")
