import pytest
from sensorlog import SensorLog


def test_ring():
    log = SensorLog("porch", capacity=2)
    for second in range(3):
        log.record(second, 20.0 + second)
    assert len(log) == 2
    assert log.latest().value == 22.0
    assert [reading.time for reading in log.drain()] == [1, 2]
    assert log.latest() is None


def test_resize():
    log = SensorLog("porch", 1)
    log.resize(3)
    for second in range(3):
        log.record(second, 1)
    assert len(log) == 3


def test_arguments():
    with pytest.raises(ValueError):
        SensorLog("the porch")
    with pytest.raises(ValueError):
        SensorLog("porch", 0)
