import pytest

from ledger.book import Book


@pytest.fixture
def book() -> Book:
    book = Book()
    for name in ("cash", "sales", "rent", "result"):
        book.open(name)
    return book


def test_an_account_is_opened_once(book):
    with pytest.raises(ValueError, match="already"):
        book.open("cash")


def test_a_transfer_moves_money(book):
    book.transfer(1, "sales", "cash", 100)
    assert (book.account("sales").balance, book.account("cash").balance) == (-100, 100)


def test_nothing_is_not_moved(book):
    with pytest.raises(ValueError):
        book.transfer(1, "sales", "cash", 0)


def test_the_book_is_in_balance(book):
    book.transfer(1, "sales", "cash", 100)
    book.transfer(2, "cash", "rent", 40)
    assert book.total() == 0


def test_a_statement_is_in_order(book):
    book.transfer(9, "cash", "rent", 40, "rent")
    book.transfer(1, "sales", "cash", 100, "till")
    assert [line.split()[0] for line in book.statement("cash")] == ["1", "9"]


def test_closing_empties_the_accounts(book):
    book.transfer(1, "sales", "cash", 100)
    book.transfer(2, "cash", "rent", 40)
    book.close_year(365, "result", ["sales", "rent"])
    assert book.account("sales").balance == book.account("rent").balance == 0
    assert book.account("result").balance == -60


def test_a_year_can_be_reopened(book):
    book.transfer(1, "sales", "cash", 100, "till")
    book.transfer(2, "cash", "rent", 40, "rent")
    before = {name: book.account(name).balance for name in ("sales", "rent", "result")}
    book.close_year(365, "result", ["sales", "rent"])
    undone = book.reopen_year(365)
    assert [(entry.text, entry.amount) for entry in undone] == [
        ("reopening", -100),
        ("reopening", 40),
    ]
    assert {name: book.account(name).balance for name in before} == before
    assert book.statement("result")[-1].endswith("reopening     -40")
