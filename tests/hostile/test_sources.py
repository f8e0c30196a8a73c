"""Metadata and answers of an index: each attack is resolved, judged and reported in a run of its own."""

from __future__ import annotations

import pytest

from tests.hostile.attack import Attack
from tests.hostile.attacks.sources import ATTACKS
from tests.hostile.conftest import Alone, marked


@pytest.mark.parametrize("attack", marked(ATTACKS))
def test_it_is_contained(attack: Attack, alone: Alone):
    alone(attack)
