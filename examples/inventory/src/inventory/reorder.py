"""What has to be bought again."""

from __future__ import annotations

from .items import Item
from .stock import Stock


def due(items: list[Item], stock: Stock) -> list[Item]:
    """Items at or under their reorder level, the emptiest first."""
    low = [item for item in items if stock.available(item.sku) <= item.reorder_level]
    return sorted(low, key=lambda item: stock.available(item.sku))


def quantity_to_order(item: Item, stock: Stock, pack: int = 1) -> int:
    """Enough whole packs to get to twice the reorder level."""
    missing = 2 * item.reorder_level - stock.available(item.sku)
    if missing <= 0:
        return 0
    packs = -(-missing // pack)
    return packs * pack
