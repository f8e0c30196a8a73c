"""Pipfile.lock."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.dependencies.files import Selection
from tests.unit.dependencies.files.helpers import HERE, A, B, left_out, read, refused, wanted


def make_lock() -> dict[str, Any]:
    return {
        "_meta": {"pipfile-spec": 6, "hash": {"sha256": A}, "requires": {}, "sources": []},
        "default": {
            "colorama": {"markers": "sys_platform == 'win32'", "version": "==0.4.6"},
            "Xxhash": {"hashes": [f"sha256:{A}", f"sha256:{B}"], "version": "==4.1.0"},
            "uvicorn": {"version": "==0.35.0", "extras": ["standard"]},
            "fork": {"git": "https://user:s3cret@example.invalid/fork.git", "ref": "main"},
            "here": {"path": ".", "editable": True},
        },
        "develop": {"lru-dict": {"version": "==1.4.1"}},
        "docs": {"mkdocs": {"version": "==1.6.1"}},
    }


def test_the_default_category_is_taken(tmp_path: Path):
    file = read(tmp_path, "Pipfile.lock", json.dumps(make_lock()))
    assert wanted(file) == {"xxhash": "==4.1.0", "uvicorn": "==0.35.0"}
    assert file.dependencies[0].hashes == (f"sha256:{A}", f"sha256:{B}")
    assert file.dependencies[0].where == "default.Xxhash"
    assert file.dependencies[1].extras == {"standard"}
    assert set(left_out(file)) == {"colorama", "fork", "here"}
    assert "s3cret" not in str(file.left_out)
    assert file.notes == ("extras and groups that are not taken: develop, docs",)


@pytest.mark.parametrize("group", ["dev", "develop", "dev-packages"])
def test_categories_are_groups(tmp_path: Path, group: str):
    selection = Selection(python=HERE.python, groups=frozenset({group, "docs"}))
    file = read(tmp_path, "Pipfile.lock", json.dumps(make_lock()), selection)
    assert {"lru-dict", "mkdocs"} < set(wanted(file))
    assert not file.notes


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("_meta", "pipfile-spec"), 7, "_meta.pipfile-spec"),
        (("default", "Xxhash", "version"), "four", "default.Xxhash.version"),
        (("default", "Xxhash", "hashes"), "x", "default.Xxhash.hashes"),
        (("default", "colorama", "markers"), "sys_platform", "default.colorama.markers"),
        (("default",), [], "default"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(
    tmp_path: Path, path: tuple[str, ...], value: object, place: str
):
    lock = make_lock()
    table = lock
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    assert place in refused(tmp_path, "Pipfile.lock", json.dumps(lock))


def test_what_is_no_json_is_refused(tmp_path: Path):
    assert "is not JSON" in refused(tmp_path, "Pipfile.lock", "{")
    assert "expected an object" in refused(tmp_path, "Pipfile.lock", "[]")
    assert "too deeply" in refused(tmp_path, "Pipfile.lock", "[" * 100_000)
