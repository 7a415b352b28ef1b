from decimal import Decimal

import pytest

from invoices.money import instalments, rounded


def test_half_a_cent_goes_up():
    assert rounded(Decimal("1.005")) == Decimal("1.01")


def test_one_instalment_is_everything():
    with pytest.raises(ValueError):
        instalments(Decimal("10"), 0)


def test_instalments_add_up():
    parts = instalments(Decimal("100.00"), 3)
    assert parts == [Decimal("33.33"), Decimal("33.33"), Decimal("33.34")]


def test_instalments_are_as_many_as_asked_for():
    assert len(instalments(Decimal("90.00"), 4)) == 4
