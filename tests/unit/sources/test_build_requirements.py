import io
import itertools
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from builder.sources import Pure, Source, Sources, UpstreamWheel, build_requirements
from builder.store.store import Store
from tests.unit.local_index import archive

PYTHON = Version("3.14.5")
PROJECT = '[build-system]\nrequires = ["setuptools>=77", "anvil>=1"]\n'


def source(name: str, version: str = "1.0", **more) -> Source:
    return Source(
        name=name,
        version=version,
        kind="index",
        filename=f"{name}-{version}.tar.gz",
        sha256="0" * 64,
        **more,
    )


def linked(stated: dict[str, tuple[str, ...]], *more: Source) -> dict[str, Source]:
    found = {name: source(name) for name in stated} | {one.name: one for one in more}
    return build_requirements.link_build_requirements(
        found, {name: stated.get(name, ()) for name in found}, PYTHON
    )


@pytest.mark.parametrize(
    ("requirement", "own"),
    [
        ("anvil", ("anvil",)),
        ("Anvil>=1", ("anvil",)),
        ("anvil>=2", ()),
        ("anvil[extra]; python_version >= '3.14'", ("anvil",)),
        ("anvil; python_version < '3'", ()),
        ("anvil; sys_platform == 'win32'", ()),
        ("anvil @ https://example.org/anvil-1.0.whl", ()),
        ("setuptools", ()),
        ("not a requirement", ()),
    ],
)
def test_a_requirement_is_met_by_the_farm_where_its_release_will_do(
    requirement: str, own: tuple[str, ...]
):
    assert linked({"hammer": (requirement,)}, source("anvil"))["hammer"].builds_with == own


def test_what_a_requirement_needs_at_run_time_is_there_too():
    found = linked(
        {"hammer": ("anvil",)}, source("anvil", needs=("bellows", "elsewhere")), source("bellows")
    )
    assert found["hammer"].builds_with == ("anvil", "bellows")


def test_a_circle_is_told_with_its_path_and_harms_no_other():
    found = linked({"a": ("b",), "b": ("c",), "c": ("a", "tool"), "tool": (), "user": ("a",)})
    assert {name: one.builds_with for name, one in found.items()} == {
        "a": (), "b": (), "c": ("tool",), "tool": (), "user": ("a",),
    }  # fmt: skip
    path = found["a"].circle
    assert path == found["b"].circle == found["c"].circle
    assert path[0] == path[-1]
    needs = {"a": "b", "b": "c", "c": "a"}
    assert all(needs[one] == following for one, following in itertools.pairwise(path))
    assert found["tool"].circle == found["user"].circle == ()


def test_a_package_that_needs_itself_is_a_circle():
    found = linked({"a": ("b",)}, source("b", needs=("a",)))
    assert found["a"].builds_with == ("b",)
    assert found["a"].circle == ("a", "a")


def packed(folder: Path, files: dict[str, str], kind: str) -> Path:
    path = folder / f"hammer-1.0.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("files", "stated"),
    [
        ({"hammer-1.0/pyproject.toml": PROJECT}, ("setuptools>=77", "anvil>=1")),
        ({"hammer-1.0/vendored/x/pyproject.toml": PROJECT, "hammer-1.0/setup.py": ""}, ()),
        ({"hammer-1.0/pyproject.toml": "this is [no toml"}, ()),
        ({"hammer-1.0/pyproject.toml": "build-system = 3"}, ()),
        ({"hammer-1.0/pyproject.toml": "[build-system]\nrequires = 'setuptools'"}, ()),
        ({"hammer-1.0/pyproject.toml": "[build-system]\nrequires = ['a', 3]"}, ("a",)),
        ({}, ()),
    ],
)
def test_requirements_are_read_from_the_sdist(
    tmp_path: Path, files: dict[str, str], stated: tuple[str, ...], kind: str
):
    path = packed(tmp_path, files, kind)
    assert build_requirements.read_build_requirements(path, path.name) == stated


def test_what_is_no_archive_states_nothing(tmp_path: Path):
    path = tmp_path / "hammer-1.0.tar.gz"
    path.write_bytes(b"no archive")
    assert build_requirements.read_build_requirements(path, path.name) == ()


def test_an_sdist_is_read_once(tmp_path: Path):
    store = Store(tmp_path / "wheelhouse")
    sha256 = store.add_file(packed(tmp_path, {"hammer-1.0/pyproject.toml": PROJECT}, "tar.gz"))
    found = {
        "hammer": Source(
            name="hammer", version="1.0", kind="local", filename="hammer-1.0.tar.gz", sha256=sha256
        ),
        "anvil": source("anvil"),
        "plain": source(
            "plain", only_pure=Pure(name="plain", version="1.0", filename="plain.whl", sha256="1")
        ),
    }
    sources = Sources(found=found)
    again = build_requirements.add_build_requirements(sources, store, PYTHON)
    assert again.found["hammer"].builds_with == ("anvil",)
    assert again.found["plain"] == found["plain"]
    store.file(sha256).unlink()
    assert build_requirements.add_build_requirements(sources, store, PYTHON) == again
    store.close()


def test_a_source_is_recorded_with_what_it_is_built_with():
    one = source("hammer", builds_with=("anvil",), circle=("a", "b", "a"))
    assert Source.from_record(one.record()) == one


CARGO = b'[package]\nrust-version = "1.90"\n'


@pytest.mark.parametrize(
    ("requires", "uses_rust"),
    [
        ('["maturin>=1,<2"]', True),
        ('["setuptools", "setuptools_rust"]', True),
        ('["setuptools"]', False),
    ],
)
@pytest.mark.parametrize("registry", ["", "sparse+https://crates.invalid/"])
def test_packages_that_are_built_with_rust_are_known_and_whether_there_are_crates_for_them(
    requires: str,
    *,
    uses_rust: bool,
    registry: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "no-cargo"))
    monkeypatch.setenv("WHEELFARM_CARGO_REGISTRY", registry)
    monkeypatch.setenv("WHEELFARM_RUSTUP_DIST_SERVER", registry.removeprefix("sparse+"))
    path = tmp_path / "foo-1.0.tar.gz"
    pyproject = f"[build-system]\nrequires = {requires}\n".encode()
    path.write_bytes(
        archive("tar.gz", {"foo-1.0/pyproject.toml": pyproject, "foo-1.0/Cargo.toml": CARGO})
    )
    with Store(tmp_path / "wheelhouse") as store:
        found = {
            "foo": Source(
                name="foo",
                version="1.0",
                kind="local",
                filename=path.name,
                sha256=store.add_file(path),
            )
        }
        answer = build_requirements.add_build_requirements(Sources(found=found), store, PYTHON)
    assert answer.found["foo"].uses_rust is uses_rust
    assert answer.found["foo"].has_crates is (uses_rust and bool(registry))
    assert answer.found["foo"].has_toolchains is (uses_rust and bool(registry))
    assert answer.found["foo"].rust_version == ("1.90.0" if uses_rust else "")
    assert Source.from_record(answer.found["foo"].record()) == answer.found["foo"]


def test_the_race_detector_alone_compiles_with_rust_too(tmp_path: Path):
    """Upstream's wheels are taken, and the sdist is compiled for the race detector."""
    path = tmp_path / "foo-1.0.tar.gz"
    pyproject = b"[build-system]\nrequires = ['maturin']\n"
    path.write_bytes(archive("tar.gz", {"foo-1.0/pyproject.toml": pyproject}))
    wheel = UpstreamWheel(
        abi="cp314", filename="foo-1.0-cp314-cp314-linux_x86_64.whl", sha256="0" * 64
    )
    with Store(tmp_path / "wheelhouse") as store:
        foo = Source(
            name="foo",
            version="1.0",
            kind="index",
            filename=path.name,
            sha256=store.add_file(path),
            take_from="wheel",
            wheels=(wheel,),
        )
        sources = Sources(found={"foo": foo})
        answer = build_requirements.add_build_requirements(sources, store, PYTHON)
    assert not answer.found["foo"].is_built
    assert answer.found["foo"].uses_rust


def test_a_constraint_that_leaves_the_farms_release_out_takes_the_indexs():
    native = {"numpy": source("numpy", "2.3.0"), "foo": source("foo", "1.0")}
    stated = {"numpy": (), "foo": ("numpy",)}
    link = build_requirements.link_build_requirements
    assert link(native, stated, PYTHON)["foo"].builds_with == ("numpy",)
    constraints = {"foo": ("numpy<2",)}
    assert link(native, stated, PYTHON, constraints)["foo"].builds_with == ()


def versions(*numbers: str) -> list[Source]:
    return [source(f"anvil=={number}", number) for number in numbers]


@pytest.mark.parametrize(
    ("requirements", "constraint", "own"),
    [
        (("anvil",), "anvil>=1", ("anvil==2.0",)),
        (("anvil<2",), "anvil", ("anvil==1.0",)),
        (("anvil==3",), "anvil", ()),
        (("anvil",), "anvil<2", ("anvil==1.0",)),
        (("anvil", "anvil<2"), "anvil", ("anvil==1.0",)),
        # What another requirement needs at run time is older: both get that.
        (("anvil", "bellows"), "anvil", ("anvil==1.0", "bellows")),
    ],
)
def test_of_several_versions_a_build_gets_one_the_newest_that_will_do(
    requirements: tuple[str, ...], constraint: str, own: tuple[str, ...]
):
    bellows = source("bellows", needs=("anvil==1.0",))
    found = {item.name: item for item in (*versions("1.0", "2.0"), bellows, source("hammer"))}
    linked = build_requirements.link_build_requirements(
        found,
        {name: requirements if name == "hammer" else () for name in found},
        PYTHON,
        {"hammer": (constraint,)},
    )
    assert linked["hammer"].builds_with == own
