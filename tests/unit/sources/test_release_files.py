import hashlib
from pathlib import Path

import pytest

from builder.host.settings import IndexSettings
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, archive, sdist, wheel
from tests.unit.sources.resolving import ask

NATIVE = "manylinux_2_17_x86_64"


def test_a_package_with_nothing_native_is_served_as_it_is(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("pure", "pure-1.0.tar.gz", sdist("pure", "1.0"))
    promised = index.add("pure", "pure-1.0-py3-none-any.whl", wheel("pure", "1.0"))
    only = ask("[packages.pure]", store, settings).found["pure"].only_pure
    assert only is not None
    assert only.sha256 == promised


def test_downloads_are_what_was_promised(served: tuple[LocalIndex, IndexSettings], store: Store):
    index, settings = served
    content = sdist("foo", "1.0")
    index.add("foo", "foo-1.0.tar.gz", content)
    found = ask("[packages.foo]", store, settings).found["foo"]
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_the_pure_wheel_that_the_matrix_names_by_hash_is_served_and_given_to_others(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add(
        "plain",
        "plain-1.0-py2.py3-none-any.whl",
        wheel("plain", "1.0", requires=("x; extra == 'y'",)),
    )
    second = index.add("plain", "plain-1.0-py3-none-any.whl", wheel("plain", "1.0"))
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("plain",)))
    text = f"[packages.app]\n[packages.plain]\nsha256 = '{second}'"
    found = ask(text, store, settings).found

    assert found["plain"].only_pure is not None
    assert found["plain"].only_pure.filename == "plain-1.0-py3-none-any.whl"
    assert found["app"].pure == (found["plain"].only_pure,)


def test_a_hash_decides_whether_a_package_is_served_or_built(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    of_sdist = index.add("fast", "fast-1.0.tar.gz", sdist("fast", "1.0"))
    index.add("fast", f"fast-1.0-cp314-cp314-{NATIVE}.whl", wheel("fast", "1.0"))
    pure_wheel = wheel("fast", "1.0", requires=("x; extra == 'x'",))
    of_pure = index.add("fast", "fast-1.0-py3-none-any.whl", pure_wheel)

    built = ask(f"[packages.fast]\nsha256 = '{of_sdist}'", store, settings).found["fast"]
    assert (built.only_pure, built.sha256) == (None, of_sdist)
    passed_on = ask(f"[packages.fast]\nsha256 = '{of_pure}'", store, settings).found["fast"]
    assert passed_on.only_pure is not None
    assert passed_on.only_pure.sha256 == of_pure


def test_a_pure_wheel_with_another_hash_than_the_matrix_wants_is_not_served(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("plain", "plain-1.0-py3-none-any.whl", wheel("plain", "1.0"))
    wrong = "0" * 64
    fault = ask(f"[packages.plain]\nsha256 = '{wrong}'", store, settings).faults["plain"]
    assert (fault.code, fault.version) == ("WF103", "1.0")
    assert f"the matrix wants {wrong}" in fault.detail


def test_an_sdist_without_native_sources_is_built_as_a_pure_package(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("plain", "plain-1.0.tar.gz", sdist("plain", "1.0"))
    files = {"native-1.0/PKG-INFO": b"Name: native\nVersion: 1.0\n", "native-1.0/x.c": b""}
    index.add("native", "native-1.0.tar.gz", archive("tar.gz", files))
    # What upstream has native wheels of is native, wherever its sources are.
    index.add("wheels", "wheels-1.0.tar.gz", sdist("wheels", "1.0"))
    index.add("wheels", f"wheels-1.0-cp314-cp314-{NATIVE}.whl", wheel("wheels", "1.0"))
    (tmp_path / "local-1.0.tar.gz").write_bytes(sdist("local", "1.0", requires=("plain",)))
    text = """
        [packages.local]
        sdist = "local-1.0.tar.gz"
        [packages.native]
        [packages.wheels]
    """
    found = ask(text, store, settings, tmp_path).found
    assert {name: source.is_pure for name, source in found.items()} == {
        "local": True,
        "native": False,
        "wheels": False,
        "plain": True,
    }
    assert found["local"].needs == ("plain",)


@pytest.mark.parametrize("take_from", ["sdist", "wheel", "either"])
def test_a_pure_package_without_a_wheel_is_built_whatever_wheels_are_made_of(
    served: tuple[LocalIndex, IndexSettings], store: Store, take_from: str
):
    index, settings = served
    index.add("plain", "plain-1.0.tar.gz", sdist("plain", "1.0"))
    found = ask(f"[farm]\nfrom = '{take_from}'\n[packages.plain]", store, settings).found["plain"]
    assert (found.is_pure, found.is_built, found.lacking) == (True, True, ())
