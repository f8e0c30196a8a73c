"""What a package's own tests need, as its sdist says."""

import io
import tarfile
from pathlib import Path

import pytest

from builder.jobs.threads import test_requirements

PROJECT = """
[project]
name = "pkg"
[project.optional-dependencies]
test = ["hypothesis>=6", "pytest", "pkg[extra] ; python_version < '3'", "not a requirement at all !"]
docs = ["sphinx", "furo"]
[dependency-groups]
tests = ["attrs", {include-group = "test"}]
"""


def sdist(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "pkg-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"pkg-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def find(path: Path, more: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    return test_requirements.find_test_requirements(path, path.name, more)


def test_extras_groups_and_files_are_read(tmp_path: Path):
    files = {
        "pyproject.toml": PROJECT,
        "tests/test_a.py": "",
        "requirements/test.txt": "pytest-cov\n-r other.txt\n# nothing\nfreezegun==1.5 # pinned\n",
    }
    found = find(sdist(tmp_path, files), ("more",))
    assert found is not None
    assert set(found) == {"hypothesis>=6", "attrs", "freezegun==1.5", "more"}


def test_without_tests_there_is_nothing_to_fetch(tmp_path: Path):
    assert find(sdist(tmp_path, {"pyproject.toml": PROJECT})) is None


@pytest.mark.parametrize(
    "text",
    ["project = 1", "[project]\noptional-dependencies = 3", "dependency-groups = []", "not toml ="],
)
def test_a_project_that_is_not_in_order_says_nothing(tmp_path: Path, text: str):
    assert find(sdist(tmp_path, {"pyproject.toml": text, "tests/test_a.py": ""})) == ()


def test_what_is_no_archive_has_no_tests(tmp_path: Path):
    (tmp_path / "x.tar.gz").write_bytes(b"nothing of the kind")
    assert find(tmp_path / "x.tar.gz") is None


def test_countless_files_and_lines_are_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A few kilobytes of an archive unpack to gigabytes of requirements."""
    monkeypatch.setattr(test_requirements, "_MAX_BYTES", 1000)
    files = {f"tests/requirements-{number}.txt": f"x{number}\n" * 100 for number in range(9)}
    path = sdist(tmp_path, {"tests/test_foo.py": "", **files})
    assert find(path) == ("x0", "x1", "x2")

    monkeypatch.undo()
    path = sdist(
        tmp_path,
        {
            "tests/test_foo.py": "",
            "requirements.txt": "\n".join(f"x{number}" for number in range(20_000)),
        },
    )
    assert len(find(path) or ()) == 5000


@pytest.mark.parametrize("folder", ["Tests", "test", "Testing"])
def test_a_folder_of_tests_may_be_written_as_its_project_likes(tmp_path: Path, folder: str):
    files = {
        "pyproject.toml": "[dependency-groups]\ntest = ['hypothesis']",
        f"{folder}/test_a.py": "",
    }
    assert find(sdist(tmp_path, files)) == ("hypothesis",)
