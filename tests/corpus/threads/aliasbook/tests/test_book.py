import aliasbook
import pytest


def test_resolve():
    book = aliasbook.Book()
    book.assign("bill", "will")
    book.assign("will", "william")
    assert book.resolve("bill") == "william"
    assert book.latest() == "will"
    assert book.drop("will") == "william"
    assert book.resolve("bill") == "will"
    book.forget_order()
    assert book.latest() is None


def test_circle():
    book = aliasbook.Book()
    book.assign("a", "b")
    book.assign("b", "a")
    with pytest.raises(RecursionError):
        book.resolve("a", depth=50)
