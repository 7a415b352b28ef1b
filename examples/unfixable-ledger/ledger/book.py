"""The book that keeps all accounts in step."""

from __future__ import annotations

from .accounts import Account, Entry


class Book:
    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def open(self, name: str) -> Account:
        if name in self._accounts:
            raise ValueError(f"{name} is open already")
        self._accounts[name] = Account(name)
        return self._accounts[name]

    def account(self, name: str) -> Account:
        return self._accounts[name]

    def transfer(self, day: int, source: str, target: str, amount: int, text: str = "") -> None:
        if amount <= 0:
            raise ValueError("an amount is positive")
        self.account(source).entries.append(Entry(day, text, -amount))
        self.account(target).entries.append(Entry(day, text, amount))

    def total(self) -> int:
        return sum(account.balance for account in self._accounts.values())

    def statement(self, name: str) -> list[str]:
        account = self.account(name)
        ordered = sorted(account.entries, key=lambda entry: entry.day)
        return [f"{entry.day:>3} {entry.text:<10} {entry.amount:>6}" for entry in ordered]

    def close_year(self, day: int, result: str, names: list[str]) -> None:
        for name in names:
            balance = self.account(name).balance_on(day)
            if balance > 0:
                self.transfer(day, name, result, balance, "closing")
            elif balance < 0:
                self.transfer(day, result, name, -balance, "closing")
