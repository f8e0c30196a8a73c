"""Text of containers and builds: each attack has a run of its own in which a container answers by a script."""

from __future__ import annotations

import pytest

from tests.hostile.attack import Attack
from tests.hostile.attacks.text import ATTACKS
from tests.hostile.conftest import Alone, marked


@pytest.mark.parametrize("attack", marked(ATTACKS))
def test_it_is_contained(attack: Attack, alone: Alone):
    alone(attack)
