"""The clock that limits on time go by: as fast as real time, but where other work has the CPUs."""

from __future__ import annotations

import pytest

from builder.inside.supervise.work_clock import WorkClock, measure_speed


class Machine:
    """Stands in for the kernel's counts."""

    def __init__(self) -> None:
        self.wall = self.used = self.waited = 0.0

    def run(self, seconds: float, *, used: float, waited: float) -> None:
        self.wall += seconds
        self.used += used
        self.waited += waited


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> WorkClock:
    return WorkClock(lambda: machine.wall, lambda: machine.used, lambda: machine.waited)


def test_alone_it_is_as_fast_as_real_time(machine: Machine, clock: WorkClock):
    machine.run(10, used=20, waited=10)  # four threads on two CPUs wait for each other
    assert clock.now() == pytest.approx(10)


def test_what_waits_for_something_else_takes_real_time(machine: Machine, clock: WorkClock):
    machine.run(10, used=0, waited=0)
    assert clock.now() == pytest.approx(10)


def test_where_others_have_the_cpus_a_second_takes_longer(machine: Machine, clock: WorkClock):
    machine.run(10, used=2.5, waited=10)
    assert clock.now() == pytest.approx(2.5)
    assert clock.stretch(3) == pytest.approx(12)


def test_there_is_an_end_however_busy_the_machine_is(machine: Machine, clock: WorkClock):
    machine.run(10, used=1, waited=10)
    assert clock.now() == pytest.approx(2)


def test_what_hangs_on_a_busy_machine_takes_real_time(machine: Machine, clock: WorkClock):
    machine.run(10, used=0.2, waited=10)
    assert clock.now() == pytest.approx(10)


def test_it_never_goes_back(machine: Machine, clock: WorkClock):
    seen = []
    for _ in range(5):
        machine.run(0.3, used=0.03, waited=0.3)
        seen.append(clock.now())
        machine.run(0.03, used=0.03, waited=0.0)
        seen.append(clock.now())
    assert seen == sorted(seen)


def test_where_the_kernel_says_nothing_it_goes_as_real_time(machine: Machine):
    clock = WorkClock(lambda: machine.wall, lambda: None, lambda: machine.waited)
    machine.run(10, used=0, waited=10)
    assert clock.now() == pytest.approx(10)


@pytest.mark.parametrize(
    ("used", "waited", "speed"),
    [(1, 1, 1.0), (0.5, 0.5, 0.75), (0.6, 1, 0.6), (0.1, 3, 0.2), (0, 3, 1.0)],
)
def test_speed(used: float, waited: float, speed: float):
    assert measure_speed(1.0, used, waited) == pytest.approx(speed)
