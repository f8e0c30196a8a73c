"""What uv writes into its lock files besides a plain graph."""

from pathlib import Path

import pytest

from builder.dependencies.files import Selection
from tests.unit.dependencies.files.helpers import HERE, left_out, read, refused, wanted

# As uv 0.11 wrote it, without addresses and hashes.
CONFLICTS = """
version = 1
revision = 3
requires-python = ">=3.11"
conflicts = [[
    { package = "shop-web", extra = "new" },
    { package = "shop-web", extra = "old" },
], [
    { package = "shop-web", group = "dev" },
    { package = "shop-web", group = "ops" },
]]

[[package]]
name = "jinja2"
version = "3.1.6"
source = { registry = "https://index.invalid/simple" }
dependencies = [
    { name = "markupsafe", version = "2.1.5", marker = "extra == 'extra-8-shop-web-old' or (extra == 'group-8-shop-web-dev' and extra == 'group-8-shop-web-ops')" },
    { name = "markupsafe", version = "3.0.2", marker = "extra == 'extra-8-shop-web-new' or extra != 'extra-8-shop-web-old' or (extra == 'group-8-shop-web-dev' and extra == 'group-8-shop-web-ops')" },
]

[[package]]
name = "markupsafe"
version = "2.1.5"
source = { registry = "https://index.invalid/simple" }

[[package]]
name = "markupsafe"
version = "3.0.2"
source = { registry = "https://index.invalid/simple" }

[[package]]
name = "shop-web"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "jinja2" }]

[package.optional-dependencies]
new = [{ name = "markupsafe", version = "3.0.2" }]
old = [{ name = "markupsafe", version = "2.1.5" }]
"""


@pytest.mark.parametrize(
    ("extras", "version"), [((), "==3.0.2"), (("new",), "==3.0.2"), (("old",), "==2.1.5")]
)
def test_parts_that_exclude_each_other_choose_releases(
    tmp_path: Path, extras: tuple[str, ...], version: str
):
    selection = Selection(python=HERE.python, extras=frozenset(extras))
    file = read(tmp_path, "uv.lock", CONFLICTS, selection)
    assert wanted(file) == {"jinja2": "==3.1.6", "markupsafe": version}
    assert [one.specifier for one in file.dependencies if one.name == "markupsafe"] == [version]


def test_parts_that_exclude_each_other_are_not_selected_together(tmp_path: Path):
    both = Selection(python=HERE.python, extras=frozenset({"new", "old"}))
    message = refused(tmp_path, "uv.lock", CONFLICTS, both)
    assert "conflicts[0]: shop-web[new] and shop-web[old] exclude each other" in message


def test_a_lock_file_for_other_systems_is_refused(tmp_path: Path):
    markers = "supported-markers = [\"sys_platform == 'win32'\"]\n"
    text = CONFLICTS.replace("conflicts =", f"{markers}conflicts =", 1)
    assert "supported-markers: the lock file is for other systems alone" in refused(
        tmp_path, "uv.lock", text
    )


def test_several_indexes_are_named(tmp_path: Path):
    assert not read(tmp_path, "uv.lock", CONFLICTS).notes or "several indexes" not in str(
        read(tmp_path, "uv.lock", CONFLICTS).notes
    )
    text = CONFLICTS.replace("https://index.invalid", "https://other.invalid", 1)
    assert "several indexes" in str(read(tmp_path, "uv.lock", text).notes)


def test_inline_tables_may_have_several_lines(tmp_path: Path):
    text = """
version = 1
[[package]]
name = "shelf"
source = { virtual = "." }
dependencies = [{ name = "xxhash" }]

[[package]]
name = "xxhash"
version = "3.6.0"
source = { registry = "https://index.invalid/simple" }
sdist = {
  url = "https://index.invalid/xxhash-3.6.0.tar.gz",
  hash = "sha256:f0162a78b13a0d7617b2845b90c763339d1f1d82bb04a4b07f4ab535cc5e05d6",
}
"""
    file = read(tmp_path, "uv.lock", text)
    assert wanted(file) == {"xxhash": "==3.6.0"}
    assert not left_out(file)
