"""What must be installed with a package, as jobs ask for it."""

from __future__ import annotations

from builder.jobs.job import run_requirement
from builder.jobs.run_requirements import NO_REQUIREMENTS, RunRequirements
from builder.sources import Pure
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind

PURE = Pure(
    name="leaf",
    version="2.0",
    filename="leaf-2.0-py3-none-any.whl",
    sha256="c" * 64,
)
REQUIREMENTS = RunRequirements(native=("bar", "baz"), pure=(PURE,), first=("early",))


def _build(name: str, abis: dict[str, str]) -> Evidence:
    """Return the evidence of a build that made these wheels: sha256 by ABI."""
    wheels = {abi: f"{name}-1.0-cp314-{abi}-linux_x86_64.whl" for abi in abis}
    return Evidence(
        job=JobId(JobKind.BUILD, name, "debian-12"),
        key="k",
        facts={"abis": {abi: {"wheel": wheel} for abi, wheel in wheels.items()}},
        files={wheels[abi]: sha256 for abi, sha256 in abis.items()},
    )


INPUTS = {
    "build": _build("foo", {"cp314": "1", "cp314t": "2"}),
    run_requirement("bar"): _build("bar", {"cp314": "3", "cp314t": "4"}),
    run_requirement("baz"): _build("baz", {"cp314": "5"}),
}


def test_needs_name_the_builds_that_made_the_wheels():
    needs = REQUIREMENTS.needs("foo", "debian-12")

    assert list(needs) == list(INPUTS)
    assert list(needs.values()) == [build.job for build in INPUTS.values()]


def test_wheels_are_of_the_package_of_what_it_needs_and_pure_ones():
    wheels = REQUIREMENTS.list_wheels("cp314t", INPUTS)

    assert wheels == [
        ("foo-1.0-cp314-cp314t-linux_x86_64.whl", "2"),
        ("bar-1.0-cp314-cp314t-linux_x86_64.whl", "4"),
        (PURE.filename, PURE.sha256),
    ]


def test_a_package_without_a_wheel_for_the_abi_is_missing():
    assert REQUIREMENTS.find_missing("cp314", INPUTS) == ()
    assert REQUIREMENTS.find_missing("cp314t", INPUTS) == ("baz",)


def test_settings_name_what_is_imported_first_only_where_there_is_such_a_thing():
    assert REQUIREMENTS.settings() == {"pure wheels": [PURE.sha256], "imported first": ("early",)}
    assert NO_REQUIREMENTS.settings() == {"pure wheels": []}
