from typing import Any

import pytest

from builder.evidence.load import LoadFacts
from builder.judge.bases import BaseOutcome, judge_bases

MODULE = {
    "module": "foo",
    "native": True,
    "gil": {"before": False, "after": False, "enabled_by": None},
}
GOOD = {"wheel": "foo.whl", "claimed": True, "missing": [], "install": None, "modules": [MODULE]}


def load(**abis: dict[str, Any]) -> LoadFacts:
    return LoadFacts.check({"loads": abis})


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (load(cp314=GOOD), BaseOutcome.IMPORTS),
        (load(cp314={**GOOD, "install": "no"}), BaseOutcome.FAILS),
        (
            load(cp314={**GOOD, "modules": [{**MODULE, "error": "ImportError: no"}]}),
            BaseOutcome.FAILS,
        ),
        (load(cp314={**GOOD, "missing": ["bar"]}), BaseOutcome.FAILS),
        (load(cp314={**GOOD, "claimed": False}), BaseOutcome.NOT_CLAIMED),
        (load(cp314t=GOOD), BaseOutcome.NO_WHEEL),
        (None, BaseOutcome.UNDETERMINED),
    ],
)
def test_what_importing_showed(facts: LoadFacts | None, outcome: BaseOutcome):
    assert judge_bases({("debian-12", "debian-13"): facts}, "cp314", "foo") == {
        "debian-13": outcome
    }


def test_of_several_wheels_the_one_that_fails_tells_and_one_that_imports_is_enough():
    good, bad = load(cp314=GOOD), load(cp314={**GOOD, "install": "no"})
    newer = load(cp314={**GOOD, "claimed": False})
    found = judge_bases(
        {("a", "x"): good, ("b", "x"): bad, ("a", "y"): newer, ("b", "y"): good, ("a", "z"): load(), ("b", "z"): newer}, "cp314", "foo",
    )  # fmt: skip
    assert found == {"x": BaseOutcome.FAILS, "y": BaseOutcome.IMPORTS, "z": BaseOutcome.NOT_CLAIMED}
