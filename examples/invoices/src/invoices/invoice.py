"""An invoice and its totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from .money import rounded
from .terms import days_late, due_date


@dataclass(frozen=True)
class Line:
    text: str
    quantity: int
    price: Decimal
    tax_rate: Decimal = Decimal("0.20")

    @property
    def net(self) -> Decimal:
        return rounded(self.quantity * self.price)

    @property
    def tax(self) -> Decimal:
        return rounded(self.net * self.tax_rate)


@dataclass
class Invoice:
    number: str
    issued: date
    terms: str = "net30"
    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        self.lines.append(line)

    @property
    def net(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return sum((line.tax for line in self.lines), Decimal(0))

    @property
    def total(self) -> Decimal:
        return self.net + self.tax

    @property
    def due(self) -> date:
        return due_date(self.issued, self.terms)

    def late_fee(self, paid: date, per_day: Decimal = Decimal("0.50")) -> Decimal:
        return days_late(self.due, paid) * per_day
