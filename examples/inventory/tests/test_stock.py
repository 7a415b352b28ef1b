import pytest

from inventory.stock import OutOfStock, Stock


@pytest.fixture
def stock() -> Stock:
    stock = Stock()
    stock.receive("M1", 10)
    return stock


def test_deliveries_add_up(stock):
    stock.receive("M1", 5)
    assert stock.on_hand("M1") == 15


def test_an_empty_delivery_is_refused(stock):
    with pytest.raises(ValueError):
        stock.receive("M1", 0)


def test_reserved_pieces_are_not_available(stock):
    stock.reserve("M1", 4)
    assert (stock.on_hand("M1"), stock.available("M1")) == (10, 6)


def test_the_last_piece_can_be_reserved(stock):
    stock.reserve("M1", 10)
    assert stock.available("M1") == 0


def test_more_than_available_cannot_be_reserved(stock):
    with pytest.raises(OutOfStock):
        stock.reserve("M1", 11)


def test_released_pieces_are_available_again(stock):
    stock.reserve("M1", 4)
    stock.release("M1", 3)
    assert stock.available("M1") == 9


def test_shipping_takes_reserved_pieces(stock):
    stock.reserve("M1", 4)
    stock.ship("M1", 4)
    assert (stock.on_hand("M1"), stock.available("M1")) == (6, 6)


def test_only_reserved_pieces_are_shipped(stock):
    with pytest.raises(OutOfStock):
        stock.ship("M1", 1)
