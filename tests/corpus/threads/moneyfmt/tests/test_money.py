import moneyfmt
import pytest


def test_formats():
    assert moneyfmt.Style("USD").format(-1205) == "-12.05 USD"
    assert moneyfmt.Style("JPY", decimals=0).format(500) == "500 JPY"


def test_default():
    assert moneyfmt.format_amount(1) == "0.01 EUR"
    moneyfmt.set_default(moneyfmt.Style("CHF"))
    try:
        assert moneyfmt.format_amount(250) == "2.50 CHF"
    finally:
        moneyfmt.set_default(None)
    assert moneyfmt.get_default().symbol == "EUR"


def test_decimals():
    with pytest.raises(ValueError):
        moneyfmt.Style("BTC", 8)
