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


@pytest.mark.parametrize("name", ["Tests", "test", "Testing"])
def test_a_folder_of_tests_may_be_written_as_its_project_likes(tmp_path: Path, name: str):
    sdist = tmp_path / "pkg-1.0.tar.gz"
    files = ("src/pkg/__init__.py", f"{name}/test_a.py", "latest/a.py")
    sdist.write_bytes(archive("tar.gz", {f"pkg-1.0/{file}": b"" for file in files}))
    folder = tmp_path / "taken out"
    assert unpacking.unpack_apart(OWN, str(sdist), tmp_path / "sdist", folder) == 0
    assert [path.name for path in folder.iterdir()] == [name]
