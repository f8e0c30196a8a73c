from dataclasses import replace
from typing import Any

import pytest

from builder.config.matrix import Matrix
from builder.judge import interfaces, speed
from builder.judge.package import judge_package
from builder.judge.package_evidence import PackageEvidence
from builder.judge.speed import Ratio, Speed
from builder.report.documents import verdicts_json
from builder.store.evidence import Evidence, JobOutcome
from tests.job_ids import job_id
from tests.unit.judge.test_package import ABIS, BASES, SOURCE, audit, build, load

GIL = {"1": 1.0, "2": 1.0, "4": 0.9}
FREE = {"1": 0.8, "2": 1.6, "4": 3.0}
WAVES = (1.0, 1.1, 0.9, 1.05)


def rates(
    gil: dict[str, float] | None, free: dict[str, float], cost: float = 1.25, waves: Any = WAVES
) -> dict[str, Any]:
    """Return rates of a call that reaches these ratios on a machine whose speed goes up and down."""
    abis = {"cp314t": free} | ({"cp314": gil} if gil else {})
    return {
        abi: {
            threads: [
                (1e6 * ratio * wave, 1e6 / (cost if abi == "cp314t" else 1.0)) for wave in waves
            ]
            for threads, ratio in ratios.items()
        }
        for abi, ratios in abis.items()
    }


def call(
    free: dict[str, float] = FREE, gil: dict[str, float] | None = GIL, **more: Any
) -> dict[str, Any]:
    return {"make": None, "text": "foo.f(1)", "native": "foo.f", "rates": rates(gil, free, **more)}


def facts(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "wheel": "foo.whl", "unknown": None, "cpus": 4, "install": None, "gil": False, "tried": len(calls), "left_out": {}, "rounds": 4,
        "plain": call({"1": 0.9, "2": 1.8, "4": 3.6}, cost=1.1), "calls": list(calls), **more,
    }  # fmt: skip


def judged(*calls: dict[str, Any], **more: Any) -> Speed:
    found = speed.judge_speed(
        Evidence(key="s", job=job_id("speed:foo@debian-12"), facts=facts(*calls, **more))
    )
    assert found is not None
    return found


def test_ratios_are_of_the_same_round_and_of_all_calls():
    slower = call({"1": 0.5, "2": 0.5, "4": 0.4}, cost=2.0)
    found = judged(call(), call({"1": 0.9, "2": 1.8, "4": 3.5}, cost=1.1), slower)
    assert (found.calls, found.tried, found.cpus, found.baseline, found.why) == (
        3,
        3,
        4,
        "cp314",
        "",
    )
    assert found.throughput["cp314t"] == {
        1: Ratio(low=0.5, median=0.8, high=0.9),
        2: Ratio(low=0.5, median=1.6, high=1.8),
        4: Ratio(low=0.4, median=3.0, high=3.5),
    }
    assert found.throughput["cp314"][4] == Ratio(low=0.9, median=0.9, high=0.9)
    assert found.machine == {1: 1.0, 2: 2.0, 4: 4.0}
    assert found.cost == Ratio(low=1.1, median=1.25, high=2.0)
    assert found.plain_cost == 1.1


def test_nobody_asked_or_there_is_no_wheel():
    assert speed.judge_speed(None) is None
    assert (
        speed.judge_speed(
            Evidence(key="s", job=job_id("speed:foo@debian-12"), facts={"wheel": None})
        )
        is None
    )


def test_what_the_farm_could_not_tell_is_said():
    untold = Evidence(
        key="",
        job=job_id("speed:foo@debian-12"),
        outcome=JobOutcome.UNDETERMINED,
        reason="no archive",
        facts={"code": "WF901"},
    )
    assert speed.judge_speed(untold) == Speed(why="not measured: no archive")


SHORT = call(waves=WAVES[:2])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"unknown": "it is not known how to call it"}, "not measured: it is not known how to call it"),
        ({"gil": True}, "not measured: the package turns the GIL on, so threads take turns"),
        ({"calls": [], "tried": 0}, "not measured: no call is known that could be measured"),
        ({"calls": [], "tried": 3, "left_out": {"short": 2, "ends": 1}},
         "not measured: of 3 calls 1 ended the process or did not end, 2 too short to be told from the interpreter's own work"),
        ({"rounds": 2, "plain": SHORT, "calls": [SHORT]}, "not measured: there was time for 2 rounds only"),
        ({"plain": None, "rounds": 0, "calls": []}, "not measured: there was time for 0 rounds only"),
    ],
)  # fmt: skip
def test_without_a_measurement_there_is_a_reason_and_no_figure(more: dict[str, Any], why: str):
    found = judged(call(), **more)
    assert found.why == why
    assert (found.throughput, found.cost, found.machine) == ({}, None, {})


@pytest.mark.parametrize(
    ("gave", "cpus", "why"),
    [
        (
            {"1": 1.0, "2": 1.1, "4": 1.2},
            2,
            "the machine was busy, 2 threads of pure Python did 1.10 times the work of one",
        ),
        (
            {"1": 1.0, "2": 2.0, "4": 2.1},
            4,
            "the machine was busy, 4 threads of pure Python did 2.10 times the work of one",
        ),
        ({"1": 1.0, "2": 1.0, "4": 1.0}, 1, "there is one CPU only"),
    ],
)
def test_where_the_machine_had_too_little_to_give_throughput_is_not_said_and_cost_is(
    gave: dict[str, float], cpus: int, why: str
):
    found = judged(call(), cpus=cpus, plain=call(gave))
    assert found.throughput == {}
    assert found.why == f"throughput is not said: {why}"
    assert found.cost == Ratio(low=1.25, median=1.25, high=1.25)


def test_four_threads_need_no_more_than_the_cpus_there_are():
    assert judged(call(), cpus=2, plain=call({"1": 1.0, "2": 1.9, "4": 1.8})).throughput


def test_calls_whose_ratios_differ_from_round_to_round_do_not_count():
    wild = call()
    wild["rates"]["cp314t"]["2"] = [(1e6 * wave, 1e6) for wave in (0.2, 3.0, 0.5, 2.0)]
    assert judged(call(), call(), wild).throughput["cp314t"][2].high == 1.6
    alone = judged(wild)
    assert alone.throughput == {}
    assert (
        alone.why
        == "throughput is not said: ratios of 1 of 1 calls differed too much from round to round"
    )


def test_without_a_wheel_for_the_gil_one_thread_of_its_own_is_the_measure():
    found = judged(call(gil=None), plain=call(gil=None))
    assert (found.baseline, found.cost, found.plain_cost) == ("cp314t", None, None)
    assert found.throughput["cp314t"][2] == Ratio(low=2.0, median=2.0, high=2.0)
    assert found.why == "there is no wheel for the GIL, so there is nothing to compare with"
    assert "does not install (no)" in judged(call(gil=None), plain=call(gil=None), install="no").why


def test_speed_and_outcomes_reach_the_document_and_decide_nothing():
    case = PackageEvidence(
        source=SOURCE, builds={"debian-12": build()}, audits={"debian-12": audit()},
        loads={("debian-12", base): load(install=why) for base, why in (("debian-12", None), ("debian-13", "no"))}, skip={}, bases=BASES,
        interfaces=interfaces.load(),
    )  # fmt: skip
    measured = replace(
        case, speed=Evidence(key="s", job=job_id("speed:foo@debian-12"), facts=facts(call()))
    )
    without, package = verdicts_json.make_document(
        [judge_package(case, ABIS), judge_package(measured, ABIS)], Matrix()
    ).packages
    assert without.speed is None
    assert package.speed is not None
    assert package.speed.throughput["cp314t"]["2"].median == 1.6
    assert package.speed.machine == {"1": 1.0, "2": 2.0, "4": 4.0}
    assert package.speed.cost is not None
    assert package.abis == without.abis
    assert package.abis["cp314"].on == {"debian-12": "imports", "debian-13": "fails"}
