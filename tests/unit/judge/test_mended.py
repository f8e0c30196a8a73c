"""Which release mends a fault: the next one of the same run in which threads called the same, and nothing broke."""

from dataclasses import replace
from typing import Any

import pytest

from builder.judge.mended import name_mended
from builder.judge.package import JudgedPackage
from tests.unit.judge.test_levels import SETTLED, scenario
from tests.unit.judge.test_package import SOURCE
from tests.unit.judge.threads.test_jobs import CALLABLES, event, exercise, judged, race

TAKE = "Take release 1.2: it was tried here too, and did not show this. Or: Give each thread its own object"


def release(
    version: str, *races: dict[str, Any], under: int = 10, name: str = "foo"
) -> JudgedPackage:
    judgement = judged(race(under=under, races=list(races)), exercise())
    return JudgedPackage(
        name=f"{name}=={version}" if version else name,
        version=version,
        source=replace(SOURCE, version=version),
        abis={"cp314t": judgement},
    )


def broken(version: str) -> JudgedPackage:
    natives = CALLABLES[:2]
    return release(version, event(arms=SETTLED, calls=scenario(natives=natives)))


def remedies(*packages: JudgedPackage) -> list[str]:
    first = name_mended(packages)[0]
    return [finding.remedy for finding in first.abis["cp314t"].findings]


def test_the_next_release_that_does_not_show_it_is_named():
    (remedy,) = remedies(broken("1.0"), release("2.0"), release("1.2"), broken("1.1"))
    assert remedy.startswith(TAKE)


@pytest.mark.parametrize(
    "other",
    [
        broken("2.0"),
        release("0.9"),
        release("2.0", name="bar"),
        release("2.0", under=1),  # too little was tried of it
        release(""),
    ],
)
def test_another_release_of_which_that_is_not_known_is_not(other: JudgedPackage):
    (remedy,) = remedies(broken("1.0"), other)
    assert remedy.startswith("Give each thread its own object")


def test_what_was_not_called_there_is_not_mended():
    natives = CALLABLES[8:]
    first = release("1.0", event(arms=SETTLED, calls=scenario(natives=natives)))
    (remedy,) = remedies(first, release("2.0", under=8))
    assert remedy.startswith("Give each thread its own object")
