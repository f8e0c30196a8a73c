"""Upstream's own wheels: which of them is taken for which ABI, and what becomes of a release without an sdist."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from builder.config import catalog, matrix
from builder.host.settings import IndexSettings
from builder.sources import Source, Sources, resolve
from builder.sources.client import Index
from builder.sources.index_file import IndexFile
from builder.sources.releases import Release
from builder.sources.upstream import choose_wheel, explain_lack, find_offers
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, sdist, serving, wheel

PYTHON = Version("3.14.5")
BASES = tuple(catalog.load().bases[name] for name in ("debian-12", "debian-13"))
OLD, NEW, NEWEST = "manylinux_2_17_x86_64", "manylinux_2_34_x86_64", "manylinux_2_39_x86_64"


def make_file(filename: str, **more: object) -> IndexFile:
    content = hashlib.sha256(filename.encode()).hexdigest()
    fields: dict[str, object] = {
        "filename": filename,
        "url": f"https://index.invalid/{filename}",
        "project": "foo",
        "version": "1.0",
        "package_type": "wheel",
        "digests": {"sha256": content},
        "is_yanked": False,
        "requires_python": None,
        **more,
    }
    return IndexFile(**fields)  # type: ignore[arg-type] # each field has its type above


def make_release(*tags: str, **more: object) -> Release:
    files = tuple(make_file(f"foo-1.0-{tag}.whl", **more) for tag in tags)
    return Release(version=Version("1.0"), files=files)


def choose(release: Release, abi: str = "cp314", hashes: tuple[str, ...] = ()) -> str:
    """Return the tags of the wheel that is chosen, with its build tag; empty where there is none."""
    chosen = choose_wheel(release, abi, BASES, PYTHON, hashes)
    return "" if chosen is None else chosen.filename.removeprefix("foo-1.0-").removesuffix(".whl")


@pytest.mark.parametrize(
    ("tags", "gil", "free"),
    [
        # One for each ABI, and of several the most specific.
        (
            (f"cp314-cp314-{OLD}", f"cp314-cp314t-{OLD}", f"cp313-cp313-{OLD}"),
            f"cp314-cp314-{OLD}",
            f"cp314-cp314t-{OLD}",
        ),
        ((f"cp39-abi3-{OLD}",), f"cp39-abi3-{OLD}", ""),  # the stable ABI needs the GIL
        ((f"py3-none-{OLD}",), f"py3-none-{OLD}", f"py3-none-{OLD}"),  # one file for both
        ((f"cp39-abi3-{OLD}", "py3-none-any"), f"cp39-abi3-{OLD}", "py3-none-any"),
        # Of an older and a newer glibc the newest that the oldest base has, as pip takes it there.
        ((f"cp314-cp314-{OLD}", f"cp314-cp314-{NEW}", f"cp314-cp314-{NEWEST}"), f"cp314-cp314-{NEW}", ""),
        # Where only the newer base takes one it is that: which base is left out is said when it is loaded.
        ((f"cp314-cp314-{NEWEST}",), f"cp314-cp314-{NEWEST}", ""),
        (("cp314-cp314-musllinux_1_2_x86_64", "cp314-cp314-manylinux_2_17_aarch64"), "", ""),
        ((f"1-cp314-cp314-{OLD}", f"cp314-cp314-{OLD}"), f"1-cp314-cp314-{OLD}", ""),  # a rebuild
    ],
)  # fmt: skip
def test_a_wheel_is_chosen_as_an_installer_chooses_it(tags: tuple[str, ...], gil: str, free: str):
    assert choose(make_release(*tags)) == gil
    assert choose(make_release(*reversed(tags))) == gil
    assert choose(make_release(*tags), "cp314t") == free


def test_what_an_installer_may_not_have_is_not_chosen():
    tags = (f"cp314-cp314-{OLD}",)
    assert choose(make_release(*tags, requires_python="<3.14")) == ""
    assert choose(make_release(*tags, requires_python="garbage")) == tags[0]

    # One file may be withdrawn; where the whole release is, somebody asked for it by its number.
    bad = make_file(f"foo-1.0-cp314-cp314-{OLD}.whl", is_yanked=True)
    good = make_file("foo-1.0-py3-none-any.whl")
    release = Release(version=Version("1.0"), files=(bad, good))
    assert choose(release) == "py3-none-any"
    assert choose(Release(version=Version("1.0"), files=(bad,))) == f"cp314-cp314-{OLD}"


def test_only_files_with_a_hash_of_the_matrix_are_chosen_where_there_are_any():
    release = make_release(f"cp314-cp314-{OLD}", f"cp314-cp314-{NEW}")
    old = release.files[0].digests["sha256"]
    assert choose(release, hashes=(old, "0" * 64)) == f"cp314-cp314-{OLD}"
    assert choose(release, hashes=("0" * 64,)) == f"cp314-cp314-{NEW}"


def test_why_there_is_none_is_said():
    def explain(*tags: str) -> str:
        return explain_lack(make_release(*tags), "cp314t", BASES, PYTHON)

    assert explain() == "it has no wheel at all"
    assert explain(f"cp39-abi3-{OLD}") == "none of its 1 wheels is for cp314t"
    newer = explain("cp314-cp314t-manylinux_2_99_x86_64")
    assert "manylinux_2_99, which no base takes (debian-12, debian-13)" in newer


# --- from an index ----------------------------------------------------------------------------------------------------


def make_releases(**tags: str) -> list[Release]:
    """Return releases, the newest first, each with the wheel of one tag: `v1_0="cp314-cp314-…"`."""
    releases: list[Release] = []
    for name, tag in tags.items():
        version = name.removeprefix("v").replace("_", ".")
        file = make_file(f"foo-{version}-{tag}.whl", version=version)
        releases.append(Release(version=Version(version), files=(file,)))
    return releases


@pytest.mark.parametrize(
    ("version", "offered"),
    [
        ("1.0", (("cp314", "1.0"), ("cp314t", "1.2"))),  # its own, or else the newest above it
        ("1.2", (("cp314", "1.2"), ("cp314t", "1.2"))),
        ("1.3", (("cp314", "1.2"), ("cp314t", "1.2"))),  # nothing above it: the newest below it
    ],
)
def test_the_release_that_upstream_has_a_native_wheel_of_is_offered(
    version: str, offered: tuple[tuple[str, str], ...]
):
    releases = make_releases(
        v2_0a1=f"cp314-cp314t-{OLD}",  # a pre-release is not offered
        v1_3="py3-none-any",  # nor is a wheel without native code
        v1_2=f"cp314-cp314.cp314t-{OLD}",
        v1_1=f"cp314-cp314t-{OLD}",
        v1_0=f"cp314-cp314-{OLD}",
    )
    (own,) = [release for release in releases if str(release.version) == version]
    assert find_offers(own, releases, ("cp314", "cp314t"), BASES, PYTHON) == offered


def test_an_abi_that_no_release_has_a_native_wheel_for_is_offered_nothing():
    releases = make_releases(v1_1="py3-none-any", v1_0=f"cp313-cp313-{OLD}")
    assert find_offers(releases[1], releases, ("cp314", "cp314t"), BASES, PYTHON) == ()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as answer:
        yield answer


GIL, FREE = f"foo-1.0-cp314-cp314-{OLD}.whl", f"foo-1.0-cp314-cp314t-{OLD}.whl"


def ask(text: str, store: Store, settings: IndexSettings, fresh_s: float = 0.0) -> Sources:
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    return resolve(
        loaded,
        store,
        Index(settings, store),
        PYTHON,
        names=list(loaded.packages),
        fresh_s=fresh_s,
        say=lambda _: None,
    )


def taken(source: Source) -> dict[str, str]:
    return {wheel.abi: wheel.filename for wheel in source.wheels}


def test_upstreams_wheels_are_taken_beside_the_sdist(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    gil = index.add("foo", GIL, wheel("foo", "1.0"))
    free = index.add("foo", FREE, wheel("foo", "1.0", requires=("bar",)))
    index.add("bar", "bar-1.0-py3-none-any.whl", wheel("bar", "1.0"))

    built = ask("[packages.foo]", store, settings).found["foo"]
    assert (built.take_from, built.wheels, built.is_built) == ("sdist", (), True)

    for take_from, is_built in (("wheel", False), ("either", True)):
        source = ask(f"[packages.foo]\nfrom='{take_from}'", store, settings).found["foo"]
        assert taken(source) == {"cp314": GIL, "cp314t": FREE}
        assert [one.sha256 for one in source.wheels] == [gil, free]
        assert all(store.file(one.sha256).exists() for one in source.wheels)
        assert (source.take_from, source.is_built) == (take_from, is_built)
        assert source.filename == "foo-1.0.tar.gz"
        assert Source.from_record(source.record()) == source

    source = ask("[farm]\nfrom='wheel'\n[packages.foo]", store, settings).found["foo"]
    assert source.take_from == "wheel"


def test_a_release_without_an_sdist_goes_straight_to_its_wheels(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("foo", GIL, wheel("foo", "1.0"))
    for take_from in ("wheel", "either"):
        source = ask(f"[packages.foo]\nfrom='{take_from}'", store, settings).found["foo"]
        assert (source.filename, source.sha256, source.is_built) == ("", "", False)
        assert taken(source) == {"cp314": GIL}
        assert source.lacking == (("cp314t", "none of its 1 wheels is for cp314t"),)

    fault = ask("[packages.foo]", store, settings).faults["foo"]
    assert fault.code == "WF102"
    assert '`from = "wheel"` in [packages.foo]' in fault.detail


def test_whatever_is_taken_must_have_one_of_the_hashes(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    source_sha256 = index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    gil = index.add("foo", GIL, wheel("foo", "1.0"))
    free = index.add("foo", FREE, wheel("foo", "1.0", requires=("bar",)))

    def with_hashes(take_from: str, *hashes: str) -> Sources:
        return ask(f"[packages.foo]\nfrom='{take_from}'\nsha256={list(hashes)}", store, settings)

    assert with_hashes("sdist", source_sha256, gil).found["foo"].sha256 == source_sha256
    assert with_hashes("sdist", gil).faults["foo"].code == "WF103"

    # Lock files often have wheels alone: then nothing is built, and nothing is compiled for the race detector.
    wheels_alone = with_hashes("either", gil, free).found["foo"]
    assert (wheels_alone.sha256, wheels_alone.is_built) == ("", False)
    assert len(wheels_alone.wheels) == 2

    fault = with_hashes("wheel", source_sha256, gil).faults["foo"]
    assert fault.code == "WF103"
    assert FREE in fault.detail
    assert with_hashes("either", "0" * 64).faults["foo"].code == "WF103"


def test_the_hash_of_a_pure_wheel_counts_as_well(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    sha256 = index.add("bar", "bar-1.0-py3-none-any.whl", wheel("bar", "1.0"))
    good = ask(f"[packages.bar]\nsha256='{sha256}'", store, settings)
    assert good.found["bar"].only_pure is not None
    bad = ask(f"[packages.bar]\nsha256='{'0' * 64}'", store, settings)
    assert bad.faults["bar"].code == "WF103"


def test_an_sdist_that_nobody_can_read_spoils_no_wheel(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("foo", "foo-1.0.zip", b"PK\x05\x06" + b"\0" * 17)
    index.add("foo", GIL, wheel("foo", "1.0"))
    source = ask("[packages.foo]\nfrom='wheel'", store, settings).found["foo"]
    assert taken(source) == {"cp314": GIL}


def test_a_recorded_answer_is_of_one_question_and_needs_its_files(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    sha256 = index.add("foo", f"foo-1.0-py3-none-{OLD}.whl", wheel("foo", "1.0"))
    text = "[farm]\nabis=['cp314']\n[packages.foo]\nfrom='wheel'"

    first = ask(text, store, settings).found["foo"]
    asked = len(index.asked)
    assert ask(text, store, settings, fresh_s=60).found["foo"] == first
    assert len(index.asked) == asked

    # Another ABI, and another place to take it from, are other questions.
    both = ask(text.replace("['cp314']", "['cp314', 'cp314t']"), store, settings, fresh_s=60)
    assert set(taken(both.found["foo"])) == {"cp314", "cp314t"}
    built = ask(text.replace("\nfrom='wheel'", ""), store, settings, fresh_s=60)
    assert built.found["foo"].wheels == ()

    store.file(sha256).unlink()
    assert ask(text, store, settings, fresh_s=60).found["foo"] == first
    assert store.file(sha256).exists()


def test_what_others_need_is_taken_from_where_the_farm_says(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("foo",)))
    index.add("foo", GIL, wheel("foo", "1.0"))
    text = "[farm]\nfrom='either'\nabis=['cp314']\n[packages.app]\nfrom='sdist'"
    found = ask(text, store, settings).found
    assert (found["foo"].needed_by, taken(found["foo"])) == ("app", {"cp314": GIL})
    assert found["app"].wheels == ()


PURE = "foo-1.0-py3-none-any.whl"


@pytest.mark.parametrize("take_from", ["sdist", "either", "wheel"])
def test_the_wheel_without_native_code_is_taken_for_the_abis_that_ask_for_it(
    served: tuple[LocalIndex, IndexSettings], store: Store, take_from: str
):
    index, settings = served
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    natives = [index.add("foo", filename, wheel("foo", "1.0")) for filename in (GIL, FREE)]
    text = f"[packages.foo]\nfrom='{take_from}'\npure=['cp314t']"
    (lack,) = ask(text, store, settings).found["foo"].lacking
    assert lack == ("cp314t", "it has no wheel without native code, for which `pure` asks")

    sha256 = index.add("foo", PURE, wheel("foo", "1.0"))
    source = ask(text, store, settings).found["foo"]
    expected = {"cp314t": PURE} if take_from == "sdist" else {"cp314": GIL, "cp314t": PURE}
    assert taken(source) == expected
    assert (source.pure_wheel, source.lacking) == (PURE, ())
    assert Source.from_record(source.record()) == source
    assert source.is_built == (take_from != "wheel")

    # Without the key it is known to be there, and not taken.
    plain = ask(f"[packages.foo]\nfrom='{take_from}'", store, settings).found["foo"]
    assert PURE not in taken(plain).values()
    assert plain.pure_wheel == PURE
    hashes = [*natives, sha256]
    hashed = ask(f"[packages.foo]\nfrom='wheel'\nsha256={hashes}", store, settings)
    assert hashed.found["foo"].pure_wheel == PURE


def test_a_wheel_without_native_code_is_no_way_out_of_a_pure_release_or_past_the_hashes(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    source_sha256 = index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    index.add("foo", PURE, wheel("foo", "1.0"))
    assert ask("[packages.foo]", store, settings).found["foo"].pure_wheel == ""
    index.add("foo", GIL, wheel("foo", "1.0"))
    hashed = ask(f"[packages.foo]\nsha256='{source_sha256}'", store, settings).found["foo"]
    assert hashed.pure_wheel == ""
    fault = ask(f"[packages.foo]\nsha256='{source_sha256}'\npure=['cp314t']", store, settings)
    assert fault.faults["foo"].code == "WF103"
