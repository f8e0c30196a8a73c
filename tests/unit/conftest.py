from pathlib import Path

import pytest

from builder.store.store import Store
from tests.unit.local_index import serving


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


@pytest.fixture
def served(tmp_path: Path):
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as answer:
        yield answer
