import pytest
import signalbox


def test_send(mocker):
    signal = signalbox.Signal()
    receiver = signal.connect(mocker.Mock(return_value=3))
    assert signal.send("saved", key=1) == [3]
    receiver.assert_called_once_with("saved", key=1)
    assert signal.disconnect(receiver)
    assert not signal.disconnect(receiver)
    assert signal.sent == 1


def test_receiver_may_disconnect_itself():
    signal = signalbox.Signal()

    def once():
        signal.disconnect(once)
        return "done"

    signal.connect(once)
    assert signal.send() == ["done"]
    assert len(signal) == 0


def test_not_callable():
    with pytest.raises(TypeError):
        signalbox.Signal().connect(3)
