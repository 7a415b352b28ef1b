"""How many of each item there are, and how many are spoken for."""

from __future__ import annotations


class OutOfStock(Exception):
    """More was asked for than is available."""


class Stock:
    def __init__(self) -> None:
        self._on_hand: dict[str, int] = {}
        self._reserved: dict[str, int] = {}

    def receive(self, sku: str, quantity: int) -> None:
        if quantity <= 0:
            raise ValueError("a delivery holds at least one piece")
        self._on_hand[sku] = self._on_hand.get(sku, 0) + quantity

    def on_hand(self, sku: str) -> int:
        return self._on_hand.get(sku, 0)

    def available(self, sku: str) -> int:
        return self.on_hand(sku) - self._reserved.get(sku, 0)

    def reserve(self, sku: str, quantity: int) -> None:
        if quantity >= self.available(sku):
            raise OutOfStock(f"{quantity} of {sku} wanted, {self.available(sku)} available")
        self._reserved[sku] = self._reserved.get(sku, 0) + quantity

    def release(self, sku: str, quantity: int) -> None:
        self._reserved[sku] = max(0, self._reserved.get(sku, 0) - quantity)

    def ship(self, sku: str, quantity: int) -> None:
        """Take reserved pieces out of the house."""
        if quantity > self._reserved.get(sku, 0):
            raise OutOfStock(f"only {self._reserved.get(sku, 0)} of {sku} are reserved")
        self._reserved[sku] -= quantity
        self._on_hand[sku] -= quantity
