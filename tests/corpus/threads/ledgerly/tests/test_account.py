import pytest
from ledgerly import Account


def test_transfer():
    left, right = Account(100), Account()
    assert left.transfer(right, 30)
    assert (left.balance, right.balance) == (70, 30)
    assert left.history() == [-30]
    assert right.history() == [30]


def test_too_little():
    left, right = Account(10), Account()
    assert not left.transfer(to=right, amount=30)
    assert left.balance == 10


def test_arguments():
    account = Account()
    with pytest.raises(ValueError):
        account.deposit(0)
    with pytest.raises(ValueError):
        account.transfer(account, 1)
