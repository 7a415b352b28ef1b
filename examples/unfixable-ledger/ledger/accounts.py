"""Accounts and their balances."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    day: int
    text: str
    amount: int


@dataclass
class Account:
    name: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def balance(self) -> int:
        return sum(entry.amount for entry in self.entries)

    def balance_on(self, day: int) -> int:
        return sum(entry.amount for entry in self.entries if entry.day <= day)
