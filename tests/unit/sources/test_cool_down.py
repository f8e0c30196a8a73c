import datetime
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from builder.config import catalog, matrix
from builder.config.cool_down import CoolDown
from builder.dependencies import resolve as dependencies
from builder.dependencies.files import Dependency, DependencyFile
from builder.errors import MatrixError
from builder.host.settings import IndexSettings
from builder.judge.package import judge_fault
from builder.sources import Sources, resolve
from builder.sources.client import Index
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.local_index import LocalIndex, sdist, serving, wheel

PYTHON = Version("3.14.5")
NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
OLD = NOW - datetime.timedelta(days=8)
YOUNG = NOW - datetime.timedelta(days=6)
WEEK = '[farm]\ncool-down = "7 days"\n'


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


def ask(text: str, store: Store, settings: IndexSettings, root: Path = Path()) -> Sources:
    loaded = matrix.parse(tomllib.loads(text), root / "matrix.toml")
    return resolve(
        loaded,
        store,
        Index(settings, store, CoolDown.for_matrix(loaded, NOW)),
        PYTHON,
        names=list(loaded.packages),
        fresh_s=0,
        say=lambda _: None,
    )


def serve_two_releases(index: LocalIndex, name: str = "lib") -> None:
    index.add(name, f"{name}-1.0.tar.gz", sdist(name, "1.0"), uploaded=OLD)
    index.add(name, f"{name}-2.0.tar.gz", sdist(name, "2.0"), uploaded=YOUNG)


def test_a_release_that_is_too_young_is_passed_over_and_named(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    serve_two_releases(index)
    source = ask(WEEK + "[packages.lib]", store, settings).found["lib"]
    assert source.version == "1.0"
    assert source.held == "2.0 is held back by the cool-down until 2026-11-27 12:00 UTC"
    assert ask("[packages.lib]", store, settings).found["lib"].version == "2.0"


def test_what_is_asked_for_and_too_young_is_a_fault_that_says_until_when(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    serve_two_releases(index)
    answer = ask(WEEK + "[packages.lib]\nversion = '==2.0'", store, settings)
    fault = answer.faults["lib"]
    assert (fault.code, fault.version) == ("WF114", "2.0")
    assert "until 2026-11-27 12:00 UTC" in fault.detail

    judged = judge_fault(fault, catalog.load().abis.values())
    assert {one.verdict for one in judged.abis.values()} == {Verdict.UNDETERMINED}


def test_a_package_may_have_a_period_of_its_own(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    serve_two_releases(index, "lib")
    serve_two_releases(index, "other")
    text = WEEK + "[packages.lib]\ncool-down = '0 days'\n[packages.other]"
    versions = {name: one.version for name, one in ask(text, store, settings).found.items()}
    assert versions == {"lib": "2.0", "other": "1.0"}

    alone = "[packages.lib]\ncool-down = 'P7D'\n[packages.other]"
    versions = {name: one.version for name, one in ask(alone, store, settings).found.items()}
    assert versions == {"lib": "1.0", "other": "2.0"}


def test_a_file_without_an_upload_time_is_too_young(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("lib", "lib-1.0.tar.gz", sdist("lib", "1.0"))
    fault = ask(WEEK + "[packages.lib]", store, settings).faults["lib"]
    assert fault.code == "WF114"
    assert "gives no upload time" in fault.detail


def test_a_young_file_of_an_old_release_is_not_taken_either(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("lib", "lib-1.0.tar.gz", sdist("lib", "1.0"), uploaded=OLD)
    index.add("lib", "lib-1.0-py3-none-any.whl", wheel("lib", "1.0"), uploaded=YOUNG)
    source = ask(WEEK + "[packages.lib]", store, settings).found["lib"]
    assert (source.only_pure, source.filename, source.held) == (None, "lib-1.0.tar.gz", "")


def test_what_a_package_needs_is_held_back_as_well(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    serve_two_releases(index, "lib")
    (tmp_path / "any-1.0.tar.gz").write_bytes(sdist("any", "1.0", requires=("lib",)))
    (tmp_path / "new-1.0.tar.gz").write_bytes(sdist("new", "1.0", requires=("lib>=2",)))
    text = (
        WEEK + '[packages.any]\nsdist = "any-1.0.tar.gz"\n[packages.new]\nsdist = "new-1.0.tar.gz"'
    )
    found = ask(text, store, settings, tmp_path).found
    assert found["lib"].version == "1.0"
    assert found["new"].trouble == (
        "nothing satisfies lib>=2 (lib 2.0 is held back by the cool-down until 2026-11-27 12:00 UTC)"
    )


def test_a_file_of_dependencies_is_read_with_it(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    serve_two_releases(index)
    file = DependencyFile(
        path=tmp_path / "r",
        format="requirements.txt",
        dependencies=(Dependency(name="lib", specifier="==2.0", where="r:1"),),
        is_complete=True,
    )
    cool_down = CoolDown(now=NOW, default=datetime.timedelta(days=7))
    client = Index(settings, store, cool_down)
    resolved = dependencies.resolve(file, client, PYTHON, lambda _: None)
    assert resolved.pins == ()
    assert "held back by the cool-down until" in resolved.left_out[0].why


def test_another_cool_down_is_another_resolution(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    serve_two_releases(index)
    for text, version in ((WEEK, "1.0"), ("", "2.0"), (WEEK, "1.0")):
        loaded = matrix.parse(tomllib.loads(text + "[packages.lib]"), Path("matrix.toml"))
        answer = resolve(
            loaded,
            store,
            Index(settings, store, CoolDown.for_matrix(loaded, NOW)),
            PYTHON,
            names=["lib"],
            fresh_s=3600,
            say=lambda _: None,
        )
        assert answer.found["lib"].version == version


def test_a_matrix_with_another_period_is_refused_with_its_place():
    with pytest.raises(MatrixError, match=r"farm\.cool-down: expected a duration such as '7 days'"):
        matrix.parse(tomllib.loads("[farm]\ncool-down = 7\n[packages.lib]"), Path("matrix.toml"))
