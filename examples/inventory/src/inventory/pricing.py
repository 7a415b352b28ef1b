"""Prices in cents, with discounts for quantity."""

from __future__ import annotations

from .items import Item

DISCOUNTS = ((100, 15), (50, 10), (10, 5))  # pieces, per cent


def discount_for(quantity: int) -> int:
    for pieces, per_cent in DISCOUNTS:
        if quantity >= pieces:
            return per_cent
    return 0


def line_total(item: Item, quantity: int) -> int:
    gross = item.unit_price * quantity
    return gross - gross * discount_for(quantity) // 100


def order_total(lines: list[tuple[Item, int]]) -> int:
    return sum(line_total(item, quantity) for item, quantity in lines)
