import pytest

from inventory.items import Item
from inventory.pricing import discount_for, line_total, order_total

MUG = Item("M1", "Mug", 700)


@pytest.mark.parametrize(("quantity", "per_cent"), [(1, 0), (9, 0), (10, 5), (50, 10), (100, 15)])
def test_discount_by_quantity(quantity, per_cent):
    assert discount_for(quantity) == per_cent


def test_line_total_without_discount():
    assert line_total(MUG, 2) == 1400


def test_line_total_with_discount():
    assert line_total(MUG, 10) == 6650


def test_order_total():
    assert order_total([(MUG, 1), (Item("P1", "Plate", 500), 2)]) == 1700
