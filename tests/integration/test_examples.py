"""The local examples build, and the patch of one changes its verdict."""

from __future__ import annotations

import pytest

from tests.examples import copy_example
from tests.integration.conftest import Workshop

FARM = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\n'


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [("local-sdist", ["compatible", "gil-required"]), ("patch", ["compatible", "unproven"])],
)
def test_a_local_example_is_built_and_judged(
    images: Workshop, workshop: Workshop, name: str, verdicts: list[str]
):
    assert images
    matrix = copy_example(name, workshop.root)
    matrix.write_text(FARM + matrix.read_text())  # one base is enough to see that it works
    ended = workshop.run()
    assert (workshop.wheelhouse / "verdicts.json").exists(), ended.stdout + ended.stderr
    found = [abi["verdict"] for abi in workshop.verdicts()["tally"]["abis"].values()]
    assert found == verdicts, ended.stdout
