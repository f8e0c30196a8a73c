import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan import schedule
from builder.plan.resources import Resources

MACHINE = Resources(cpus=2, memory_bytes=100)


def taken(*jobs: str, **more: Resources) -> dict[str, Resources]:
    return {job: more.get(job, Resources(cpus=1, memory_bytes=10)) for job in jobs}


def play(
    needs: dict[str, tuple[str, ...]], took: dict[str, float], cpus: int = 2, **more: Resources
):
    return schedule.simulate(
        needs, took, taken(*needs, **more), Resources(cpus=cpus, memory_bytes=100)
    )


def test_the_longest_path_goes_first():
    needs = {"short": (), "other": (), "head": (), "tail": ("head",)}
    played = play(needs, {"short": 1, "other": 1, "head": 1, "tail": 5}, cpus=1)
    assert sorted(played.starts, key=lambda job: played.starts[job])[:2] == ["head", "tail"]


def test_there_are_no_rounds():
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


def test_a_duration_is_the_last_recorded_one_or_what_is_usual():
    recorded = {"build:a@x": 5.0, "build:b@x": 7.0, "build:c@x": 99.0, "image:interpreters": 400.0}
    expected = schedule.expected_durations(
        ["build:a@x", "build:new@x", "audit:a@x", "image:builder-x", "image:interpreters"], recorded
    )
    assert expected == {
        "build:a@x": 5.0,
        "build:new@x": 7.0,
        "audit:a@x": schedule.DEFAULT_COSTS["audit"].seconds,
        "image:builder-x": schedule.DEFAULT_COSTS["image"].seconds,
        "image:interpreters": 400.0,
    }


def test_a_share_is_what_was_measured_or_what_is_usual():
    found = schedule.expected_resources(
        ["build:a@x", "build:b@x", "image:interpreters"], {"build:a@x": 123}
    )
    assert found["build:a@x"] == Resources(cpus=1, memory_bytes=123)
    assert found["build:b@x"] == schedule.DEFAULT_COSTS["build"].resources
    assert found["image:interpreters"].cpus == schedule.ALL_CPUS


@pytest.mark.parametrize(
    "kind", ["image", "build", "audit", "load", "remedy", "race", "exercise", "speed"]
)
def test_every_kind_of_job_has_something_usual(kind: str):
    assert schedule.expected_durations([f"{kind}:any@x"], {})
    assert schedule.expected_resources([f"{kind}:any@x"], {})


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
    played = schedule.simulate(needs, took, rooms, machine)
    ends = {job: start + took[job] for job, start in played.starts.items()}
    assert played.starts.keys() == needs.keys()
    assert all(ends[need] <= played.starts[job] for job, wanted in needs.items() for need in wanted)
    for moment in played.starts.values():
        running = [job for job in needs if played.starts[job] <= moment < ends[job]]
        assert sum(min(rooms[job].cpus, cpus) for job in running) <= cpus
        assert sum(rooms[job].memory_bytes for job in running) <= 100
    assert played.lower_bound_s <= played.makespan_s == max(ends.values(), default=0)
