"""What is kept between runs: two runs in one wheelhouse, then each test looks at what became of one attack."""

from __future__ import annotations

import pytest

from tests.hostile.attack import Attack
from tests.hostile.attacks.caches import ATTACKS
from tests.hostile.conftest import check_with_neighbours, marked
from tests.hostile.group import GroupRun, run_group

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GroupRun:
    folder = tmp_path_factory.mktemp("caches")
    return run_group(request, folder, "cp314", "none")


@pytest.mark.parametrize("attack", marked(ATTACKS, is_group=True))
def test_it_is_contained(attack: Attack, group: GroupRun, request: pytest.FixtureRequest):
    check_with_neighbours(request, attack, group.worlds[attack.name], group.undisturbed)


@pytest.mark.slow
def test_nothing_is_left(group: GroupRun):
    assert group.left == []
