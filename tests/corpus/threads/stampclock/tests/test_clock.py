import pytest
import stampclock


def test_stamp():
    assert stampclock.stamp(0) == "1970-01-01 00:00:00Z"
    assert stampclock.stamp(951782400) == "2000-02-29 00:00:00Z"
    with pytest.raises(ValueError):
        stampclock.stamp(-1)


def test_days():
    assert stampclock.weekday(951782400) == "Tue"
    assert stampclock.between(0, 90061) == "1d 1h 1m"
