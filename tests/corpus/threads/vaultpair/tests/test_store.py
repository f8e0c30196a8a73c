import pytest
from vaultpair import Store


def test_move():
    shop, shed = Store(), Store(5)
    assert shed.move(shop, 3) == 3
    assert shed.move(to=shop, amount=3) == 2
    assert (shop.stock, shed.stock, shop.moves) == (5, 0, 2)


def test_arguments():
    shop = Store()
    with pytest.raises(ValueError):
        shop.move(shop, 1)
    with pytest.raises(ValueError):
        Store(-1)
