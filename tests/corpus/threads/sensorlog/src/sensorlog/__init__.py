"""The latest readings of a sensor, kept in a ring of fixed size."""

from sensorlog import _ring

__all__ = ["Reading", "SensorLog"]


class Reading(tuple):
    """A time in seconds and a value."""

    __slots__ = ()
    time = property(lambda self: self[0])
    value = property(lambda self: self[1])


class SensorLog:
    """Readings of one sensor.

    Args:
        name: of the sensor.
        capacity: how many readings are kept.
    """

    def __init__(self, name: str, capacity: int = 256) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is not the name of a sensor")
        self.name = name
        self._handle = _ring.create(capacity)

    def record(self, time: float, value: float) -> None:
        """Add a reading; the oldest gives way."""
        _ring.push(self._handle, time, value)

    def latest(self) -> "Reading | None":
        """The newest reading."""
        pair = _ring.newest(self._handle)
        return None if pair is None else Reading(pair)

    def drain(self) -> "list[Reading]":
        """All readings, oldest first; the log is empty afterwards."""
        return [Reading(pair) for pair in _ring.take_all(self._handle)]

    def resize(self, capacity: int) -> None:
        """Keep more, or fewer, readings from now on; those kept so far are dropped."""
        _ring.resize(self._handle, capacity)

    def __len__(self) -> int:
        return _ring.count(self._handle)
