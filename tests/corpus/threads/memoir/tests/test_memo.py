from memoir import Memo


def test_once(mocker):
    factory = mocker.Mock(return_value=[1, 2])
    memo = Memo()
    assert memo.get("a", factory) is memo.get("a", factory)
    factory.assert_called_once_with()
    assert memo.computed == 1


def test_forget():
    memo = Memo()
    memo.get("a", list)
    assert memo.forget("a")
    assert not memo.forget("a")


def test_factory_may_ask_again():
    memo = Memo()
    assert memo.get("total", lambda: memo.get("part", lambda: 2) + 1) == 3
