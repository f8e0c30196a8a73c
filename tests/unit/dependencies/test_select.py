import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from builder.config import edit, matrix
from builder.dependencies import resolve, select
from builder.dependencies.files import Dependency, DependencyFile, Selection, read
from builder.host.settings import IndexSettings
from builder.sources.client import Index
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, archive, sdist, serving, wheel

PYTHON = Version("3.14.5")
NATIVE = "cp314-cp314-manylinux_2_17_x86_64"


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


def take(
    file: DependencyFile,
    store: Store,
    settings: IndexSettings,
    scope: select.Scope,
    farm: str = "",
) -> select.SelectedPackages:
    index = Index(settings, store)
    loaded = matrix.parse(tomllib.loads(farm), Path("matrix.toml"), needs_packages=False)
    target = select.Target.for_matrix(loaded, PYTHON)
    resolved = resolve.resolve(file, index, PYTHON, lambda _: None)
    return select.select_packages(
        resolved, index, store, lambda _: None, scope=scope, target=target
    )


def listing(folder: Path, *dependencies: Dependency) -> DependencyFile:
    return DependencyFile(
        path=folder / "uv.lock", format="uv.lock", dependencies=dependencies, is_complete=True
    )


def pinned(name: str, version: str, *hashes: str, wheels: tuple[str, ...] = ()) -> Dependency:
    return Dependency(
        name=name,
        specifier=f"=={version}",
        where="package[0]",
        hashes=tuple(f"sha256:{value}" for value in hashes),
        wheel_hashes=tuple(f"sha256:{value}" for value in wheels),
    )


def serve_every_kind(index: LocalIndex) -> dict[str, str]:
    """Serve a package of each kind, and return the sha256 of each file."""
    pages = {
        "native-1.0.tar.gz": sdist("native", "1.0"),
        f"native-1.0-{NATIVE}.whl": wheel("native", "1.0"),
        "fast-1.0.tar.gz": sdist("fast", "1.0"),
        f"fast-1.0-{NATIVE}.whl": wheel("fast", "1.0"),
        "fast-1.0-py3-none-any.whl": wheel("fast", "1.0", requires=()),
        "plain-1.0.tar.gz": sdist("plain", "1.0"),
        "plain-1.0-py2.py3-none-any.whl": wheel(
            "plain", "1.0", requires=("nothing; extra == 'x'",)
        ),
        "plain-1.0-py3-none-any.whl": wheel("plain", "1.0"),
        "tool-1.0.tar.gz": sdist("tool", "1.0"),
        "tool-1.0-py3-none-manylinux_2_17_x86_64.whl": wheel("tool", "1.0"),
        "docs-1.0.tar.gz": archive("tar.gz", {"docs-1.0/PKG-INFO": b"Name: docs\nVersion: 1.0\n"}),
    }
    return {
        name: index.add(name.partition("-")[0], name, content) for name, content in pages.items()
    }


def test_all_takes_every_kind_and_sorts_the_pure_ones_behind(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    serve_every_kind(index)
    names = ("docs", "fast", "native", "plain", "tool")
    file = listing(tmp_path, *(pinned(name, "1.0") for name in names))

    native = take(file, store, settings, select.Scope.NATIVE)
    assert [entry.name for entry in native.entries] == ["native"]
    speedups = take(file, store, settings, select.Scope.SPEEDUPS)
    assert [entry.name for entry in speedups.entries] == ["fast", "native"]

    everything = take(file, store, settings, select.Scope.ALL)
    assert [(entry.name, entry.group) for entry in everything.entries] == [
        ("fast", "native"),
        ("native", "native"),
        ("tool", "native"),
        ("docs", "pure Python"),
        ("plain", "pure Python"),
    ]
    assert everything.left_out == ()


def test_of_several_pure_wheels_the_one_that_the_file_names_by_hash_is_pinned(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    hashes = serve_every_kind(index)
    of_sdist, of_second = hashes["plain-1.0.tar.gz"], hashes["plain-1.0-py3-none-any.whl"]

    told_apart = listing(tmp_path, pinned("plain", "1.0", of_sdist, wheels=(of_second,)))
    (entry,) = take(told_apart, store, settings, select.Scope.ALL).entries
    assert entry.hashes == (of_second,)

    mixed = listing(tmp_path, pinned("plain", "1.0", of_second, of_sdist))
    (entry,) = take(mixed, store, settings, select.Scope.ALL).entries
    assert entry.hashes == (of_second,)

    only_source = listing(tmp_path, pinned("plain", "1.0", of_sdist))
    (entry,) = take(only_source, store, settings, select.Scope.ALL).entries
    assert (entry.hashes, entry.group) == ((of_sdist,), "pure Python")


def test_a_pure_wheel_that_the_file_does_not_name_is_not_taken(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("bare", "bare-1.0-py3-none-any.whl", wheel("bare", "1.0"))
    chosen = take(
        listing(tmp_path, pinned("bare", "1.0", "0" * 64)), store, settings, select.Scope.ALL
    )
    assert chosen.entries == ()
    assert (
        "none of the file's 1 hashes is that of bare-1.0-py3-none-any.whl" in chosen.left_out[0].why
    )


def test_formats_that_tell_files_apart_keep_the_hashes_of_wheels(tmp_path: Path):
    source, built = "a" * 64, "b" * 64
    texts = {
        "uv.lock": f"""
            version = 1
            [[package]]
            name = "app"
            source = {{ virtual = "." }}
            dependencies = [{{ name = "plain" }}]
            [[package]]
            name = "plain"
            version = "1.0"
            source = {{ registry = "https://index.invalid/simple" }}
            sdist = {{ url = "https://index.invalid/p.tar.gz", hash = "sha256:{source}" }}
            wheels = [{{ url = "https://index.invalid/p.whl", hash = "sha256:{built}" }}]
        """,
        "pylock.toml": f"""
            lock-version = "1.0"
            created-by = "a test"
            [[packages]]
            name = "plain"
            version = "1.0"
            sdist = {{ name = "plain-1.0.tar.gz", url = "https://index.invalid/plain-1.0.tar.gz", hashes = {{ sha256 = "{source}" }} }}
            wheels = [{{ name = "plain-1.0-py3-none-any.whl", url = "https://index.invalid/plain-1.0-py3-none-any.whl", hashes = {{ sha256 = "{built}" }} }}]
        """,
        "poetry.lock": f"""
            [[package]]
            name = "plain"
            version = "1.0"
            optional = false
            python-versions = "*"
            groups = ["main"]
            files = [
              {{ file = "plain-1.0.tar.gz", hash = "sha256:{source}" }},
              {{ file = "plain-1.0-py3-none-any.whl", hash = "sha256:{built}" }},
            ]
            [metadata]
            lock-version = "2.1"
            python-versions = "*"
            content-hash = "x"
        """,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (dependency,) = read(tmp_path / name, Selection(python=PYTHON)).dependencies
        assert dependency.hashes == (f"sha256:{source}",), name
        assert dependency.wheel_hashes == (f"sha256:{built}",), name


def test_a_matrix_of_everything_has_a_heading_for_each_group(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    hashes = serve_every_kind(index)
    file = listing(
        tmp_path,
        pinned("plain", "1.0", hashes["plain-1.0-py3-none-any.whl"]),
        pinned("native", "1.0", hashes["native-1.0.tar.gz"]),
    )
    chosen = take(file, store, settings, select.Scope.ALL)

    path = tmp_path / "matrix.toml"
    edit.write_edit(path, edit.plan_edit(path, chosen.entries, "from uv.lock", update=False))
    assert path.read_text() == (
        "# from uv.lock: native\n"
        f'[packages.native]\nversion = "==1.0"\nsha256 = "{hashes["native-1.0.tar.gz"]}"\n'
        "\n# from uv.lock: pure Python\n"
        f'[packages.plain]\nversion = "==1.0"\nsha256 = "{hashes["plain-1.0-py3-none-any.whl"]}"\n'
    )
    loaded = matrix.parse(tomllib.loads(path.read_text()), path)
    assert list(loaded.packages) == ["native", "plain"]


def test_without_an_sdist_upstreams_wheels_are_taken_by_all_their_hashes(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    hashes = {
        tags: index.add(
            "bare",
            f"bare-1.0-{tags}.whl",
            wheel("bare", "1.0", requires=(f"x; extra == '{number}'",)),
        )
        for number, tags in enumerate(
            (NATIVE, "cp314-cp314t-manylinux_2_17_x86_64", "cp314-cp314-win_amd64")
        )
    }
    foreign = hashes.pop("cp314-cp314-win_amd64")
    file = listing(tmp_path, pinned("bare", "1.0", *hashes.values(), foreign))

    native = take(file, store, settings, select.Scope.NATIVE)
    assert "no sdist" in native.left_out[0].why
    (entry,) = take(file, store, settings, select.Scope.ALL).entries
    assert (entry.take_from, set(entry.hashes)) == ("wheel", set(hashes.values()))

    path = tmp_path / "matrix.toml"
    edit.write_edit(path, edit.plan_edit(path, [entry], "from uv.lock", update=False))
    loaded = matrix.parse(tomllib.loads(path.read_text()), path)
    assert loaded.packages["bare"].take_from == "wheel"
    assert set(loaded.packages["bare"].sha256) == set(hashes.values())
    again = edit.plan_edit(path, [entry], "from uv.lock", update=False)
    assert [change.action for change in again.changes] == [edit.Action.SAME]


def test_where_the_matrix_takes_either_the_hashes_of_wheels_are_kept_beside_the_sdists(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    of_sdist = index.add("native", "native-1.0.tar.gz", sdist("native", "1.0"))
    of_wheel = index.add("native", f"native-1.0-{NATIVE}.whl", wheel("native", "1.0"))
    file = listing(tmp_path, pinned("native", "1.0", of_sdist, wheels=(of_wheel,)))

    (entry,) = take(file, store, settings, select.Scope.ALL, '[farm]\nfrom = "either"').entries
    assert (entry.take_from, entry.hashes) == ("", (of_sdist, of_wheel))
    (entry,) = take(file, store, settings, select.Scope.ALL).entries
    assert entry.hashes == (of_sdist,)


def test_what_has_neither_an_sdist_nor_a_wheel_that_fits_is_left_out(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("other", "other-1.0-cp314-cp314-win_amd64.whl", wheel("other", "1.0"))
    chosen = take(listing(tmp_path, pinned("other", "1.0")), store, settings, select.Scope.ALL)
    assert chosen.entries == ()
    assert "no sdist of 1.0 to build from, and" in chosen.left_out[0].why
