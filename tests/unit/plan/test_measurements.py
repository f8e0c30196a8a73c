"""What is measured beside what, and the images for it."""

from __future__ import annotations

import os

from builder.config import catalog
from builder.config.catalog import Interpreter
from builder.config.scenarios import Scenario
from builder.engine.tasks import Limits
from builder.jobs.images.measure import MeasureImage
from builder.jobs.measurement import Environment, Measurement
from builder.plan.graph import Plan
from builder.plan.measurements import Group, Way, list_ways, plan_measurements, plan_variants

TABLES = catalog.load()
ABIS = tuple(TABLES.abis.values())
BASES = ("debian-12", "debian-13")


def test_an_interpreter_with_a_jit_is_run_with_it_and_without():
    ways = list(list_ways(TABLES.interpreters.values()))
    assert [way.title for way in ways] == [
        "cp314",
        "cp314t",
        "cp313",
        "cp314-jit off",
        "cp314-jit on",
    ]
    assert [dict(way.variables) for way in ways[-2:]] == [{"PYTHON_JIT": "0"}, {"PYTHON_JIT": "1"}]
    assert {way.environment for way in ways[-2:]} == {"cp314-jit"}


def test_each_number_of_threads_has_its_baseline_and_an_equal_copy_of_it():
    one, other = (Way(title=name, environment=name) for name in ("cp313", "cp314t"))
    variants = plan_variants([Group(baseline=one, others=(other,))], [4, 1, 4])
    assert [(item.name, item.baseline, item.is_control) for item in variants] == [
        ("cp313/1", "", False),
        ("cp313 again/1", "cp313/1", True),
        ("cp314t/1", "cp313/1", False),
        ("cp313/4", "", False),
        ("cp313 again/4", "cp313/4", True),
        ("cp314t/4", "cp313/4", False),
    ]
    assert [item.threads for item in variants] == [1, 1, 1, 4, 4, 4]


def plan_with(*names: str, packages: tuple[str, ...] = ()) -> Plan:
    interpreters: list[Interpreter] = [TABLES.interpreters[name] for name in names]
    environments = {
        interpreter.name: Environment(interpreter=interpreter, locked=())
        for interpreter in interpreters
    }
    job = Measurement(
        name="shop",
        base="debian-13",
        python=ABIS[0].python,
        environments=environments,
        variants=(),
        scenarios={"list": Scenario(call="shop:list")},
        packages=packages,
        rounds=3,
        seconds=1.0,
        limit_s=60.0,
        moment="2026-11-27T10:00:00+00:00",
    )
    return plan_measurements([job], interpreters, TABLES, ABIS, BASES)


def test_what_is_compared_with_is_compiled_on_the_base_that_is_measured_on():
    jobs = {str(job): one for job, one in plan_with("cp313", "cp314").jobs.items()}
    assert "measurement:shop@debian-13" in jobs
    compiled = jobs["image:comparison-interpreters"]
    assert compiled.needs == {
        "base": next(job for job in plan_with("cp313").jobs if job.name == "debian-13")
    }
    settings = compiled.settings()
    assert [item[0] for item in settings["interpreter"]] == ["cp313-cp313"]  # type: ignore[attr-defined]
    assert "apt list" not in settings


def test_nothing_is_compiled_where_nothing_is_compared_with():
    jobs = plan_with("cp314", "cp314t").jobs
    assert "image:comparison-interpreters" not in {str(job) for job in jobs}
    (image,) = [job for job in jobs.values() if isinstance(job, MeasureImage)]
    assert str(image.needs["interpreters"]) == "image:interpreters"


def test_system_packages_are_installed_into_the_image_that_is_measured_in():
    names = {str(job) for job in plan_with("cp314", "cp314t", packages=("libpq5",)).jobs}
    assert "image:measure-debian-13" in names
    assert any(name.startswith("image:measure-debian-13+") for name in names)


def test_the_job_has_time_and_room_for_every_installation_and_every_cpu():
    jobs = plan_with("cp314", "cp314t").jobs.values()
    (job,) = [one for one in jobs if isinstance(one, Measurement)]
    assert job.limits.timeout_s == 2 * 1200 + 60
    assert job.limits.disk_bytes == 2 * Limits().disk_bytes
    assert job.limits.usable_cpus == os.cpu_count()
