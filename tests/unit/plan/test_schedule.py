from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan import schedule
from builder.plan.resources import Resources
from builder.store.job_ids import JobId, JobKind
from tests.job_ids import job_id

MACHINE = Resources(cpus=2, memory_bytes=100)


def named(name: str) -> JobId:
    return JobId(JobKind.BUILD, name)


@dataclass(frozen=True)
class Played:
    """A simulation, its jobs by name."""

    starts: dict[str, float]
    makespan_s: float
    lower_bound_s: float


def play(
    needs: Mapping[str, tuple[str, ...]],
    took: Mapping[str, float],
    machine: Resources = MACHINE,
    **taken: Resources,
) -> Played:
    """Simulate jobs that are called by a name alone; each takes one CPU and a little memory if nothing else is said."""
    usual = Resources(cpus=1, memory_bytes=10)
    played = schedule.simulate(
        {named(job): tuple(map(named, wanted)) for job, wanted in needs.items()},
        {named(job): seconds for job, seconds in took.items()},
        {named(job): taken.get(job, usual) for job in needs},
        machine,
    )
    return Played(
        starts={job.name: start for job, start in played.starts.items()},
        makespan_s=played.makespan_s,
        lower_bound_s=played.lower_bound_s,
    )


def test_the_longest_path_goes_first():
    needs = {"short": (), "other": (), "head": (), "tail": ("head",)}
    played = play(
        needs,
        {"short": 1, "other": 1, "head": 1, "tail": 5},
        machine=Resources(cpus=1, memory_bytes=100),
    )
    assert sorted(played.starts, key=lambda job: played.starts[job])[:2] == ["head", "tail"]


def test_jobs_are_not_run_in_stages():
    needs = {"long": (), "a": (), "b": ("a",), "c": ("b",)}
    played = play(needs, {"long": 10, "a": 1, "b": 1, "c": 1})
    assert played.starts == {"long": 0, "a": 0, "b": 1, "c": 2}
    assert played.makespan_s == played.lower_bound_s == 10


def test_a_job_waits_for_its_share_of_memory():
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": (), "small": ()}
    big = Resources(cpus=1, memory_bytes=60)
    played = play(needs, {"a": 3, "b": 2, "small": 1}, a=big, b=big)
    assert played.starts == {"a": 0, "small": 0, "b": 3}


def test_what_wants_more_than_there_is_runs_alone():
    needs: dict[str, tuple[str, ...]] = {"all": (), "a": (), "b": ()}
    everything = Resources(cpus=schedule.ALL_CPUS, memory_bytes=1 << 60)
    played = play(needs, {"all": 5, "a": 1, "b": 1}, all=everything)
    assert played.starts["all"] == 0
    assert played.starts["a"] == played.starts["b"] == 5


def test_a_large_job_is_not_overtaken_for_ever():
    small = [f"small-{number:02}" for number in range(40)]
    needs: dict[str, tuple[str, ...]] = {"first": (), "large": (), **dict.fromkeys(small, ())}
    took = {"first": 3.0, "large": 2.5, **dict.fromkeys(small, 1.0)}
    played = play(needs, took, large=Resources(cpus=2, memory_bytes=10))
    assert played.starts["large"] <= 3 + schedule.PATIENCE


def test_what_is_there_already_is_not_waited_for():
    assert play({"build": ("image",)}, {"build": 2.0}).makespan_s == 2


def by_id(values: Mapping[str, Any]) -> dict[JobId, Any]:
    return {job_id(text): value for text, value in values.items()}


def test_a_duration_is_the_last_recorded_one_or_what_is_usual():
    recorded = {"build:a@x": 5.0, "build:b@x": 7.0, "build:c@x": 99.0, "image:interpreters": 400.0}
    jobs = ("build:a@x", "build:new@x", "audit:a@x", "image:builder-x", "image:interpreters")
    expected = schedule.expected_durations(map(job_id, jobs), by_id(recorded))
    assert expected == by_id(
        {
            "build:a@x": 5.0,
            "build:new@x": 7.0,
            "audit:a@x": schedule.DEFAULT_COSTS["audit"].seconds,
            "image:builder-x": schedule.DEFAULT_COSTS["image"].seconds,
            "image:interpreters": 400.0,
        }
    )


def test_what_the_interpreters_took_says_nothing_of_other_images():
    recorded = by_id({"image:interpreters": 400.0, "image:verify-x": 5.0})
    jobs = [job_id("image:builder-x"), job_id("image:race-interpreter")]
    usual, compiled = schedule.expected_durations(jobs, recorded).values()
    assert usual == 5.0
    assert compiled == 300.0


def test_a_share_is_what_was_measured_or_what_is_usual():
    jobs = ("build:a@x", "build:b@x", "image:interpreters")
    found = schedule.expected_resources(map(job_id, jobs), by_id({"build:a@x": 123}))
    first, second, image = found.values()
    assert first == Resources(cpus=1, memory_bytes=123)
    assert second == schedule.DEFAULT_COSTS["build"].resources
    assert image.cpus == schedule.ALL_CPUS


@pytest.mark.parametrize("kind", JobKind)
def test_every_kind_of_job_has_something_usual(kind: JobKind):
    job = JobId(kind, "any", "x")
    assert schedule.expected_durations([job], {})
    assert schedule.expected_resources([job], {})


GRAPHS = st.lists(
    st.tuples(
        st.integers(1, 50), st.integers(1, 3), st.integers(1, 100), st.sets(st.integers(0, 30))
    ),
    max_size=31,
)


@given(GRAPHS, st.integers(1, 4))
def test_every_job_runs_once_after_its_inputs_within_the_machine(graph, cpus: int):
    needs = {
        str(number): tuple(str(need) for need in wanted if need < number)
        for number, (_, _, _, wanted) in enumerate(graph)
    }
    took = {str(number): float(row[0]) for number, row in enumerate(graph)}
    rooms = {
        str(number): Resources(cpus=row[1], memory_bytes=row[2]) for number, row in enumerate(graph)
    }
    machine = Resources(cpus=cpus, memory_bytes=100)
    played = play(needs, took, machine, **rooms)
    ends = {job: start + took[job] for job, start in played.starts.items()}
    assert played.starts.keys() == needs.keys()
    assert all(ends[need] <= played.starts[job] for job, wanted in needs.items() for need in wanted)
    for moment in played.starts.values():
        running = [job for job in needs if played.starts[job] <= moment < ends[job]]
        assert sum(min(rooms[job].cpus, cpus) for job in running) <= cpus
        assert sum(rooms[job].memory_bytes for job in running) <= 100
    assert played.lower_bound_s <= played.makespan_s == max(ends.values(), default=0)


def start_builds(cpus: float, *names: str) -> list[float]:
    """Start builds that are ready at once, and return the CPUs that each of them gets."""
    jobs = [named(name) for name in names]
    share = Resources(cpus=1, memory_bytes=10)
    queue = schedule.Queue(
        dict.fromkeys(jobs, 1.0),
        dict.fromkeys(jobs, share),
        Resources(cpus=cpus, memory_bytes=100),
    )
    for job in jobs:
        queue.add(job)

    given: list[float] = []
    while (started := queue.start()) is not None:
        given.append(queue.share_of_running(started).cpus)
    return given


def test_a_build_gets_the_cpus_that_nobody_waits_for():
    assert start_builds(2, "heavy") == [1]
    assert start_builds(8, "heavy") == [7]
    assert start_builds(64, "heavy") == [schedule.MOST_CPUS]
    assert start_builds(4, "a", "b", "c", "d") == [1, 1, 1, 1]
    assert sum(start_builds(8, "a", "b", "c")) <= 8


def test_what_a_build_was_given_is_free_when_it_has_ended():
    job = named("heavy")
    share = Resources(cpus=1, memory_bytes=10)
    queue = schedule.Queue({job: 1.0}, {job: share}, Resources(cpus=8, memory_bytes=100))
    for _ in range(3):
        queue.add(job)
        assert queue.start() == job
        assert queue.share_of_running(job).cpus == 7
        queue.end(job)


def test_a_build_takes_as_long_as_on_another_base():
    heavy, other = (
        JobId(JobKind.BUILD, "heavy", "debian-12"),
        JobId(JobKind.BUILD, "heavy", "ubuntu"),
    )
    light = JobId(JobKind.BUILD, "light", "debian-12")
    new = JobId(JobKind.BUILD, "new", "ubuntu")
    recorded = {heavy: 3600.0, light: 10.0, JobId(JobKind.BUILD, "third", "debian-12"): 12.0}
    assert schedule.expected_durations([heavy, other, new], recorded) == {
        heavy: 3600.0,
        other: 3600.0,
        new: 12.0,
    }


# --- what fills a part of a CPU -----------------------------------------------------------------------------------------


def make_queue(cpus: float, *names: str) -> schedule.Queue:
    """Return a queue with jobs by their ids; the earlier is the more urgent, and each has the share of its kind."""
    jobs = [job_id(name) for name in names]
    priority = {job: float(len(jobs) - number) for number, job in enumerate(jobs)}
    shares = schedule.expected_resources(jobs, dict.fromkeys(jobs, 10))
    queue = schedule.Queue(priority, shares, Resources(cpus=cpus, memory_bytes=1000))
    for job in jobs:
        queue.add(job)
    return queue


def start_all(queue: schedule.Queue) -> list[str]:
    return [str(job) for job in iter(queue.start, None)]


EXERCISES = [f"exercise:{letter}@debian-12" for letter in "abcdefghijklmn"]
LOADS = ["load:x@debian-12/debian-12", "load:y@debian-12/debian-12"]


def test_a_load_fills_what_two_exercises_leave_of_two_cpus():
    """However many exercises wait: none of them could use it."""
    queue = make_queue(2, *EXERCISES, *LOADS)
    assert start_all(queue) == [*EXERCISES[:2], LOADS[0]]
    assert queue.share_of_running(job_id(LOADS[0])).cpus == 0.5
    assert len(queue) == len(EXERCISES) + len(LOADS) - 3

    queue.end(job_id(LOADS[0]))
    assert start_all(queue) == [LOADS[1]]
    queue.end(job_id(EXERCISES[0]))
    assert start_all(queue) == [EXERCISES[2]]


def test_one_job_at_a_time_fills():
    queue = make_queue(
        3, "race:a@debian-12", "exercise:a@debian-12", "exercise:b@debian-12", *LOADS
    )
    assert start_all(queue)[3:] == [LOADS[0]]
    queue.end(job_id("exercise:a@debian-12"))
    assert start_all(queue) == []
    queue.end(job_id(LOADS[0]))
    assert start_all(queue) == [LOADS[1]]


def test_nothing_fills_beside_jobs_that_use_their_cpus():
    queue = make_queue(2, "race:a@debian-12", "build:b@debian-12", *LOADS)
    assert len(start_all(queue)) == 2


def test_nothing_fills_what_a_job_waits_for_that_was_overtaken_too_often():
    large = "build:large@debian-12"
    jobs = [large, "exercise:a@debian-12", "exercise:b@debian-12", *LOADS]
    queue = make_queue(2, *jobs)
    queue._shares = {**queue._shares, job_id(large): Resources(cpus=2, memory_bytes=10)}
    queue._free_cpus = 1.5
    queue._overtaken[job_id(large)] = schedule.PATIENCE
    assert start_all(queue) == []


def test_every_share_is_exact_and_large_enough_for_the_threads_of_a_run():
    for cost in (*schedule.DEFAULT_COSTS.values(), *schedule.COMPILE_COSTS.values()):
        assert cost.resources.cpus >= schedule.LEAST_CPUS
        assert (cost.resources.cpus * 4).is_integer()
