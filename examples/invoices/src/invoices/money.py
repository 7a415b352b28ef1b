"""Amounts in euros, to the cent."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def instalments(amount: Decimal, count: int) -> list[Decimal]:
    """Equal parts to the cent; the last one takes what rounding leaves over."""
    if count < 1:
        raise ValueError("there is at least one instalment")
    share = rounded(amount / count)
    last = amount - share * count
    return [share] * (count - 1) + [last]
