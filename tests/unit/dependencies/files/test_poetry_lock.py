"""poetry.lock of Poetry 2 and of Poetry 1."""

from pathlib import Path

import pytest

from builder.dependencies.files import Selection
from tests.unit.dependencies.files.helpers import HERE, A, B, left_out, read, refused, wanted

POETRY_2 = f"""
[[package]]
name = "lru-dict"
version = "1.4.1"
optional = false
python-versions = ">=3.9"
groups = ["dev"]
files = [{{file = "lru_dict-1.4.1.tar.gz", hash = "sha256:{A}"}}]

[[package]]
name = "MarkupSafe"
version = "2.1.5"
optional = true
python-versions = ">=3.7"
groups = ["main"]
markers = "extra == \\"fast\\""
files = [
    {{file = "MarkupSafe-2.1.5-cp312-cp312-win_amd64.whl", hash = "sha256:{B}"}},
    {{file = "MarkupSafe-2.1.5.tar.gz", hash = "sha256:{A}"}},
]

[[package]]
name = "tomli"
version = "2.5.0"
optional = false
python-versions = ">=3.8"
groups = ["main", "dev"]
files = []
[package.markers]
main = "python_version == \\"3.10\\""
dev = "python_version >= \\"3.9\\""

[[package]]
name = "fork"
version = "1.0"
optional = false
python-versions = "*"
groups = ["main"]
files = []
[package.source]
type = "git"
url = "https://user:s3cret@example.invalid/fork.git"

[[package]]
name = "xxhash"
version = "4.1.0"
optional = false
python-versions = ">=3.9"
groups = ["main"]
files = [{{file = "xxhash-4.1.0.tar.gz", hash = "sha256:{A}"}}]
[package.source]
type = "legacy"
url = "https://index.invalid/simple"
reference = "mirror"

[extras]
fast = ["markupsafe"]

[metadata]
lock-version = "2.1"
python-versions = ">=3.10"
content-hash = "0"
"""

POETRY_1 = f"""
[[package]]
name = "jinja2"
version = "3.1.6"
optional = true
python-versions = ">=3.7"
files = []
[package.dependencies]
MarkupSafe = ">=2.0"

[[package]]
name = "markupsafe"
version = "3.0.2"
optional = true
python-versions = ">=3.9"
files = [{{file = "markupsafe-3.0.2.tar.gz", hash = "sha256:{A}"}}]

[[package]]
name = "xxhash"
version = "3.5.0"
optional = false
python-versions = ">=3.7"
files = []

[extras]
pages = ["jinja2"]

[metadata]
lock-version = "2.0"
python-versions = ">=3.7"
content-hash = "0"
"""


def test_groups_and_markers_decide(tmp_path: Path):
    file = read(tmp_path, "poetry.lock", POETRY_2)
    assert wanted(file) == {"xxhash": "==4.1.0"}
    assert file.is_complete
    assert "its groups: dev" in left_out(file)["lru-dict"]
    assert "marker does not hold" in left_out(file)["tomli"]
    assert "marker does not hold" in left_out(file)["markupsafe"]
    assert left_out(file)["fork"] == (
        "comes from https://****@example.invalid/fork.git (git), not from the index"
    )
    assert "dev, fast" in file.notes[0]


def test_extras_and_groups_are_taken_where_they_are_asked_for(tmp_path: Path):
    chosen = Selection(python=HERE.python, extras=frozenset({"fast"}), groups=frozenset({"dev"}))
    file = read(tmp_path, "poetry.lock", POETRY_2, chosen)
    assert set(wanted(file)) == {"xxhash", "markupsafe", "tomli", "lru-dict"}
    by_name = {one.name: one for one in file.dependencies}
    assert by_name["markupsafe"].hashes == (f"sha256:{A}",), "the sdist's hash counts alone"


def test_before_groups_were_written_extras_lead_to_what_is_optional(tmp_path: Path):
    file = read(tmp_path, "poetry.lock", POETRY_1)
    assert wanted(file) == {"xxhash": "==3.5.0"}
    assert "does not say which packages are for groups" in "\n".join(file.notes)

    with_pages = Selection(python=HERE.python, extras=frozenset({"pages"}))
    assert set(wanted(read(tmp_path, "poetry.lock", POETRY_1, with_pages))) == {
        "xxhash",
        "jinja2",
        "markupsafe",
    }


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"2.1"', '"9.0"', "metadata.lock-version"),
        ('version = "4.1.0"', 'version = "four"', "package[4].version"),
        ('hash = "sha256:', 'hash = "', "package[0].files[0].hash"),
        ('name = "fork"', 'name = "xxhash"', "package[3].name"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, old: str, new: str, place: str):
    assert old in POETRY_2
    if place == "package[3].name":
        text = POETRY_2.replace('type = "git"', 'type = "legacy"').replace(old, new, 1)
        assert "'xxhash' once more" in refused(tmp_path, "poetry.lock", text)
    else:
        assert place in refused(tmp_path, "poetry.lock", POETRY_2.replace(old, new, 1))
