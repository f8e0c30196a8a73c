"""Tables that people read: complete, and as the files in docs/ say."""

import itertools
from pathlib import Path

import pytest

from builder.config import catalog
from builder.generate import docs
from builder.judge import interfaces

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(docs.render_files()))
def test_generated_documents_are_current(name: str):
    assert (DOCS / name).read_text() == docs.render_files()[name], "run `make docs`"


def test_removed_interfaces_are_gone_from_every_interpreter():
    tables = interfaces.load()
    for names in tables.exports.values():
        assert set(tables.removed) & set(names) == set()


def test_every_base_and_abi_has_its_tables():
    tables, known = interfaces.load(), catalog.load()
    assert set(tables.bases) == set(known.bases), (
        "run `make interfaces` where an image of the base is"
    )
    assert set(tables.exports) == set(known.abis)
    for name, shipped in tables.bases.items():
        assert shipped.newest["GLIBC"] == known.bases[name].glibc_version


def test_policies_grow():
    """What an older policy promises, a newer one does too (PEP 600)."""
    order = [interfaces.load().policy((2, minor)) for minor in range(5, 44)]
    for older, newer in itertools.pairwise(order):
        assert older.libraries <= newer.libraries
        assert older.named <= newer.named
        assert all(older.newest[family] <= newer.newest[family] for family in older.newest)


@pytest.mark.parametrize(
    ("glibc", "version", "promised"),
    [
        ((2, 17), "GLIBC_2.17", True), ((2, 17), "GLIBC_2.18", False), ((2, 17), "GLIBCXX_3.4.19", True),
        ((2, 17), "GLIBCXX_3.4.20", False), ((2, 28), "GLIBC_ABI_DT_RELR", False), ((2, 36), "GLIBC_ABI_DT_RELR", True),
        ((2, 17), "CXXABI_TM_1", True), ((2, 12), "CXXABI_TM_1", False), ((2, 33), "GLIBC_2.33", True),
        ((2, 17), "GLIBC_PRIVATE", False), ((2, 17), "OPENSSL_3.0.0", True),
    ],
)  # fmt: skip
def test_a_policy_promises_versions_up_to_its_own(glibc, version, promised):
    assert interfaces.load().policy(glibc).has_version(version) is promised
