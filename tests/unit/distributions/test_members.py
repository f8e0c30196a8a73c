"""An sdist gives the same answers whichever archive it is, in every place that reads one."""

import contextlib
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from builder.config import matrix
from builder.distributions import members
from builder.distributions.members import NotAnSdistError, iter_members
from builder.distributions.metadata import NotADistributionError, sdist_metadata
from builder.host.settings import IndexSettings
from builder.inside.stress.package import sdists
from builder.inside.stress.package.sdists import SdistError
from builder.jobs.threads.test_requirements import find_test_requirements
from builder.sources.build_requirements import read_build_requirements
from builder.sources.client import Index
from builder.sources.kind import Kind, classify_release, holds_native_sources
from builder.sources.resolve import resolve
from builder.store.store import Store
from tests.unit.local_index import archive, serving

KINDS = ("tar.gz", "zip")
PROJECT = b"""
[build-system]
requires = ["setuptools>=77", "anvil"]
[project]
name = "pkg"
[project.optional-dependencies]
test = ["hypothesis>=6"]
"""
FILES = {
    "pkg-1.0/PKG-INFO": b"Metadata-Version: 2.2\nName: pkg\nVersion: 1.0\nRequires-Dist: numpy>=2\n",
    "pkg-1.0/pyproject.toml": PROJECT,
    "pkg-1.0/src/pkg/_fast.c": b"int x;",
    "pkg-1.0/tests/test_pkg.py": b"def test(): pass",
    "pkg-1.0/vendored/PKG-INFO": b"Name: other\n",
    "pkg-1.0/vendored/pyproject.toml": b"[build-system]\nrequires = ['other']",
}
PURE = {name: content for name, content in FILES.items() if not name.endswith(".c")}


def pack(folder: Path, files: dict[str, bytes], kind: str) -> Path:
    path = folder / f"pkg-1.0.{kind}"
    path.write_bytes(archive(kind, files))
    return path


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_gives_the_same_answer(tmp_path: Path, kind: str, prefix: str):
    path = pack(tmp_path, {f"{prefix}{name}": content for name, content in FILES.items()}, kind)
    metadata = sdist_metadata(path, path.name)
    assert (metadata["name"], metadata["requires_dist"]) == ("pkg", ["numpy>=2"])
    assert read_build_requirements(path, path.name) == ("setuptools>=77", "anvil")
    assert find_test_requirements(path, path.name) == ("hypothesis>=6",)
    assert holds_native_sources(path, path.name)
    project = sdists.unpack(str(path), tmp_path / "out")
    assert project.name == "pkg-1.0"
    assert {
        f"pkg-1.0/{file.relative_to(project)}": file.read_bytes()
        for file in project.rglob("*")
        if file.is_file()
    } == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_no_tests_and_no_native_code_are_seen_as_well(tmp_path: Path, kind: str):
    files = {name: content for name, content in PURE.items() if "/tests/" not in name}
    path = pack(tmp_path, files, kind)
    assert find_test_requirements(path, path.name) is None
    assert not holds_native_sources(path, path.name)


@pytest.mark.parametrize(("files", "expected"), [(FILES, Kind.NATIVE), (PURE, Kind.PURE)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_release_and_a_local_file_are_read_alike(
    tmp_path: Path, kind: str, files: dict[str, bytes], expected: Kind
):
    store = Store(tmp_path / "wheelhouse")
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (served, settings):
        served.add("pkg", f"pkg-1.0.{kind}", archive(kind, files))
        index = Index(settings, store)
        (release,) = index.releases("pkg") or ()
        assert classify_release(release, index, store) is expected
        assert index.requirements("pkg", release) == ("numpy>=2",)
    pack(tmp_path, files, kind)
    loaded = matrix.parse(
        {"packages": {"pkg": {"sdist": f"pkg-1.0.{kind}"}}}, tmp_path / "matrix.toml"
    )
    index = Index(IndexSettings(url="http://127.0.0.1:9/"), store)
    found = resolve(
        loaded,
        store,
        index,
        Version("3.14.5"),
        names=["pkg"],
        fresh_s=0,
        say=lambda _: None,
    ).found["pkg"]
    assert (found.version, found.requires) == ("1.0", ("numpy>=2",))
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_said_alike(tmp_path: Path, kind: str):
    whole = pack(tmp_path, {**FILES, "pkg-1.0/data": bytes(range(256)) * 4000}, kind)
    for content in (b"", b"no archive", whole.read_bytes()[: len(whole.read_bytes()) // 2]):
        path = tmp_path / f"damaged-1.0.{kind}"
        path.write_bytes(content)
        with pytest.raises(NotAnSdistError):
            list(iter_members(path, path.name))
        with pytest.raises(SdistError):
            sdists.unpack(str(path), tmp_path / "out" / str(len(content)))
        assert find_test_requirements(path, path.name) is None
    path.write_bytes(b"")
    assert read_build_requirements(path, path.name) == ()
    with pytest.raises(NotADistributionError, match="is no sdist"):
        sdist_metadata(path, path.name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_is_read_up_to_a_limit(tmp_path: Path, kind: str):
    path = pack(tmp_path, {"pkg-1.0/big": bytes(1000)}, kind)
    (read,) = [(one.name, one.size, len(one.read(1000))) for one in iter_members(path, path.name)]
    assert read == ("pkg-1.0/big", 1000, 1000)
    for member in iter_members(path, path.name):
        with pytest.raises(NotAnSdistError, match="has more than"):
            member.read(999)


@pytest.mark.parametrize("kind", KINDS)
def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    path = pack(tmp_path, {f"pkg-1.0/{number}": bytes(400) for number in range(3)}, kind)
    monkeypatch.setattr(members, "_MAX_TOTAL_BYTES", 1000)
    with pytest.raises(NotAnSdistError, match="unpacks to more"):
        list(iter_members(path, path.name))
    monkeypatch.setattr(sdists, "MOST_BYTES", 1000)
    with pytest.raises(SdistError, match="unpacks to more"):
        sdists.unpack(str(path), tmp_path / "out")


def test_a_script_in_a_zip_stays_one_and_a_link_is_no_file(tmp_path: Path):
    path = tmp_path / "pkg-1.0.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, mode in (("configure", 0o755), ("setup.py", 0o644)):
            info = zipfile.ZipInfo(f"pkg-1.0/{name}")
            info.external_attr = (stat.S_IFREG | mode) << 16
            packed.writestr(info, "text")
    project = sdists.unpack(str(path), tmp_path / "out")
    assert (project / "configure").stat().st_mode & 0o111
    assert not (project / "setup.py").stat().st_mode & 0o111
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("pkg-1.0/link.c")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    assert [one.name for one in iter_members(path, path.name)] == [
        "pkg-1.0/configure",
        "pkg-1.0/setup.py",
    ]
    with pytest.raises(SdistError, match="neither a file nor a folder"):
        sdists.unpack(str(path), tmp_path / "other")


def test_an_encrypted_member_is_damage_and_no_crash(tmp_path: Path):
    path = tmp_path / "pkg-1.0.zip"
    path.write_bytes(archive("zip", {"pkg-1.0/PKG-INFO": b"Name: pkg\n"}))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(NotADistributionError, match="encrypted"):
        sdist_metadata(path, path.name)


PARTS = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1)
NAMES = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4)
ONCE_PER_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@ONCE_PER_FOLDER
@given(files=st.dictionaries(NAMES.map("/".join), st.binary(max_size=200), max_size=5))
def test_both_archives_have_the_same_members(tmp_path: Path, files: dict[str, bytes]):
    read = []
    for kind in KINDS:
        path = pack(tmp_path, {f"pkg-1.0/{name}": content for name, content in files.items()}, kind)
        read.append(
            [
                (member.name, member.inner_path, member.size, member.read(1000))
                for member in iter_members(path, path.name)
            ]
        )
    assert read[0] == read[1]
    assert {inner: content for _, inner, _, content in read[0]} == files


@ONCE_PER_FOLDER
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_changed_bytes_are_damage_or_nothing_and_never_another_error(
    tmp_path: Path, kind: str, changes: list[tuple[float, int]]
):
    content = bytearray(archive(kind, FILES))
    for position, value in changes:
        content[int(position * len(content))] = value
    path = tmp_path / f"pkg-1.0.{kind}"
    path.write_bytes(content)
    for read in (
        lambda: [member.read(1000) for member in iter_members(path, path.name)],
        lambda: sdists.unpack(str(path), tmp_path / "out"),
    ):
        with contextlib.suppress(NotAnSdistError, SdistError):
            read()
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
