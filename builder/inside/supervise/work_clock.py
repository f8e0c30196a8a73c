"""A clock that goes slowly while other work has the CPUs, so that limits on time are limits on the work that is done.

Where a container gets a third of the CPU time that it could use, a second of this clock takes three: what is looked for
in so many seconds is the same on a busy machine as on an idle one.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

_USAGE_V2 = Path("/sys/fs/cgroup/cpu.stat")  # a line `usage_usec 12345`
_USAGE_V1 = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")  # nanoseconds
_PRESSURE = Path("/proc/pressure/cpu")  # `some avg10=… total=12345`, in microseconds
"""What the kernel says of this container's CPU time, and of time in which anything waited for a CPU (cgroups(7), and
the kernel's documentation of PSI)."""

_STEP_S = 0.1  # between two looks at the kernel's counts
_IDLE_SHARE = 0.05
"""Of a CPU. Who wants one gets more, however many others do; who uses less waits for something else, such as a lock."""
_SLOWEST = 0.2
"""A limit of a second takes five at most: there is an end, however busy the machine is."""


def read_usage_seconds() -> float | None:
    """Return the CPU time that this container has used; None where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        if _USAGE_V1.exists():
            return int(_USAGE_V1.read_text()) / 1e9
        return int(_USAGE_V2.read_text().split()[1]) / 1e6
    return None


def read_waiting_seconds() -> float | None:
    """Return how long anything on this machine has waited for a CPU; None where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_PRESSURE.read_text().split("total=")[1].split()[0]) / 1e6
    return None


def measure_speed(elapsed_s: float, used_s: float, waited_s: float) -> float:
    """Return how fast the clock went in a stretch of time, as a share of the speed of real time.

    What waits for something else than a CPU takes as long on any machine. While something waits for a CPU, this
    container did as much of its own work as it used CPU time; one that used a whole one was not held up, nor was one
    that wanted none.

    Args:
        elapsed_s: how long it was.
        used_s: CPU time that this container used in it.
        waited_s: how long anything waited for a CPU in it.
    """
    waiting_share = min(1.0, waited_s / elapsed_s)
    working_share = min(1.0, used_s / elapsed_s)
    if working_share < _IDLE_SHARE:
        return 1.0
    return max(_SLOWEST, (1 - waiting_share) + waiting_share * working_share)


class WorkClock:
    """Tells the time; the first look is its beginning."""

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        read_usage: Callable[[], float | None] = read_usage_seconds,
        read_waiting: Callable[[], float | None] = read_waiting_seconds,
    ) -> None:
        """Take what the time and the counts are read from."""
        self._wall = wall
        self._read_usage = read_usage
        self._read_waiting = read_waiting
        self._speed = 1.0
        self._passed = 0.0
        self._seen = (wall(), read_usage(), read_waiting())

    def now(self) -> float:
        """Return the seconds since the beginning, of this clock."""
        wall = self._wall()
        since, used_before, waited_before = self._seen
        elapsed = wall - since
        if elapsed < _STEP_S:
            return self._passed

        used, waited = self._read_usage(), self._read_waiting()
        more_used, more_waited = _subtract(used, used_before), _subtract(waited, waited_before)
        self._speed = 1.0
        if more_used is not None and more_waited is not None:
            self._speed = measure_speed(elapsed, more_used, more_waited)
        self._passed += elapsed * self._speed
        self._seen = (wall, used, waited)

        return self._passed

    def stretch(self, seconds: float) -> float:
        """Return how many seconds of real time some of this clock take, if it goes on as it went last."""
        return seconds / self._speed


def _subtract(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


CLOCK = WorkClock()
"""That of this process."""
