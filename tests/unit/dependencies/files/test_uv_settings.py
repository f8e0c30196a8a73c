"""`[tool.uv]`: where dependencies come from, and which releases they may be."""

from pathlib import Path

import pytest

from tests.unit.dependencies.files.helpers import left_out, read, refused, wanted

PROJECT = """
[project]
name = "shop"
version = "1"
dependencies = ["xxhash", "mmh3", "ujson", "lru-dict", "regex<2026", "kiwisolver", "wrapt"]

[tool.uv]
override-dependencies = ["regex>=2026", "numpy<3"]
constraint-dependencies = ["wrapt<2"]
exclude-dependencies = ["lru-dict"]
build-constraint-dependencies = ["setuptools<82"]
prerelease = "allow"

[tool.uv.workspace]
members = ["lib/*"]

[[tool.uv.index]]
name = "inhouse"
url = "https://packages.invalid/simple"

[tool.uv.sources]
xxhash = { git = "https://user:s3cret@example.invalid/forks/xxhash" }
mmh3 = { path = "../forks/mmh3" }
ujson = { index = "inhouse" }
kiwisolver = [
  { url = "https://example.invalid/kiwi.whl", marker = "sys_platform == 'win32'" },
]
"""


def test_what_comes_from_elsewhere_is_left_out_and_said_to_be(tmp_path: Path):
    file = read(tmp_path, "pyproject.toml", PROJECT)
    assert wanted(file) == {"regex": ">=2026", "kiwisolver": "", "wrapt": ""}
    assert set(left_out(file)) == {"xxhash", "mmh3", "ujson", "lru-dict"}
    assert "****@example.invalid/forks/xxhash" in left_out(file)["xxhash"]
    assert "the index 'inhouse'" in left_out(file)["ujson"]
    assert "excluded" in left_out(file)["lru-dict"]


def test_what_holds_for_all_that_is_required_is_kept(tmp_path: Path):
    file = read(tmp_path, "pyproject.toml", PROJECT)
    assert [(one.name, one.specifier) for one in file.overrides] == [
        ("regex", ">=2026"),
        ("numpy", "<3"),
    ]
    assert [(one.name, one.specifier) for one in file.constraints] == [("wrapt", "<2")]
    assert file.excluded == {"lru-dict"}
    assert file.takes_prereleases


def test_what_is_not_taken_is_noted(tmp_path: Path):
    notes = "\n".join(read(tmp_path, "pyproject.toml", PROJECT).notes)
    assert "members of the workspace (lib/*)" in notes
    assert "tool.uv.build-constraint-dependencies" in notes


def test_a_workspace_without_dependencies_says_whose_are_elsewhere(tmp_path: Path):
    text = '[dependency-groups]\ndev = ["markupsafe"]\n[tool.uv.workspace]\nmembers = ["lib/*"]\n'
    file = read(tmp_path, "pyproject.toml", text)
    assert not file.dependencies
    assert "members of the workspace" in "\n".join(file.notes)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"regex>=2026"', '"regex>=>2026"', "tool.uv.override-dependencies[0]"),
        ('path = "../forks/mmh3"', "path = 1", "tool.uv.sources.mmh3"),
        ("sys_platform == 'win32'", "sys_platform", "tool.uv.sources.kiwisolver"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(
    tmp_path: Path, old: str, new: str, place: str
):
    assert old in PROJECT
    assert place in refused(tmp_path, "pyproject.toml", PROJECT.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "place"),
    [("tool = 1\n", "tool"), ("tool.uv = 1\n", "tool.uv"), ("tool.poetry = []\n", "tool.poetry")],
)
def test_a_table_that_is_none_is_refused_with_its_place(tmp_path: Path, text: str, place: str):
    message = refused(tmp_path, "pyproject.toml", f'{text}[project]\nname = "shop"\n')
    assert f": {place}: expected a table" in message
