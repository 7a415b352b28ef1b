from inventory.items import Item
from inventory.reorder import due, quantity_to_order
from inventory.stock import Stock

MUG, PLATE = Item("M1", "Mug", 700), Item("P1", "Plate", 500, reorder_level=20)


def test_the_emptiest_is_due_first():
    stock = Stock()
    stock.receive("M1", 5)
    stock.receive("P1", 3)
    assert due([MUG, PLATE], stock) == [PLATE, MUG]


def test_full_shelves_need_no_order():
    stock = Stock()
    stock.receive("M1", 50)
    assert quantity_to_order(MUG, stock) == 0


def test_whole_packs_are_ordered():
    stock = Stock()
    stock.receive("M1", 3)
    assert quantity_to_order(MUG, stock, pack=6) == 12
