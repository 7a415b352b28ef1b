from ledger.accounts import Account, Entry


def account() -> Account:
    return Account("cash", [Entry(1, "start", 100), Entry(5, "rent", -30)])


def test_balance():
    assert account().balance == 70


def test_balance_before():
    assert account().balance_on(0) == 0


def test_balance_between():
    assert account().balance_on(4) == 100


def test_balance_of_the_day_itself():
    assert account().balance_on(5) == 70


def test_an_empty_account():
    assert Account("empty").balance == 0
