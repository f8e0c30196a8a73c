import observa


def test_notify(mocker):
    value = observa.Value(1)
    observer = mocker.Mock()
    value.observe(observer)
    value.value = 2
    assert value.notify() == 1
    observer.assert_called_once_with(2)
    assert value.ignore(observer)
    assert not value.ignore(observer)


def test_observer_may_leave():
    value = observa.Value()
    value.observe(lambda _: value.ignore(print))
    assert value.notify() == 1
