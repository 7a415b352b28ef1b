"""What the shop sells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    sku: str
    name: str
    unit_price: int  # in cents
    reorder_level: int = 5

    def __post_init__(self) -> None:
        if not self.sku:
            raise ValueError("an item needs a sku")
        if self.unit_price < 0:
            raise ValueError("a price cannot be negative")


class Catalogue:
    """Items by sku."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def add(self, item: Item) -> None:
        if item.sku in self._items:
            raise ValueError(f"{item.sku} is in the catalogue already")
        self._items[item.sku] = item

    def find(self, sku: str) -> Item:
        return self._items[sku]

    def search(self, words: str) -> list[Item]:
        wanted = words.lower().split()
        return [
            item
            for item in self._items.values()
            if all(word in item.name.lower() for word in wanted)
        ]
