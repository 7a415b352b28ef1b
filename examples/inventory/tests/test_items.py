import pytest

from inventory.items import Catalogue, Item


def test_an_item_needs_a_sku():
    with pytest.raises(ValueError, match="sku"):
        Item("", "Mug", 700)


def test_a_price_is_not_negative():
    with pytest.raises(ValueError, match="negative"):
        Item("M1", "Mug", -1)


def test_a_sku_is_in_the_catalogue_once():
    catalogue = Catalogue()
    catalogue.add(Item("M1", "Mug", 700))
    with pytest.raises(ValueError, match="already"):
        catalogue.add(Item("M1", "Other mug", 900))


def test_search_looks_for_every_word():
    catalogue = Catalogue()
    catalogue.add(Item("M1", "Blue mug", 700))
    catalogue.add(Item("M2", "Red mug", 700))
    assert [item.sku for item in catalogue.search("MUG blue")] == ["M1"]
