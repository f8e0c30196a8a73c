from pathlib import Path

import pytest

from builder.inside.stress.package import unpacking
from builder.inside.supervise.accounts import OWN
from tests.unit.local_index import archive


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_the_tests_of_an_sdist_are_laid_out_without_the_package(tmp_path: Path, kind: str):
    sdist = tmp_path / f"pkg-1.0.{kind}"
    files = ("setup.cfg", "src/pkg/__init__.py", "tests/test_a.py", "test_b.py")
    sdist.write_bytes(archive(kind, {f"pkg-1.0/{name}": b"" for name in files}))
    folder = tmp_path / "taken out"
    assert unpacking.unpack_apart(OWN, str(sdist), tmp_path / "sdist", folder) == 0
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "setup.cfg",
        "test_b.py",
        "tests/test_a.py",
    ]
