from pathlib import Path

import pytest

from builder.host.settings import IndexSettings
from builder.sources.client import Index
from builder.sources.releases import Release
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, archive, sdist, serving, wheel
from tests.unit.sources.resolving import ask

NATIVE = "manylinux_2_17_x86_64"


def test_the_newest_stable_release_that_is_not_yanked_and_for_this_python(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    index.add("foo", "foo-1.1.tar.gz", sdist("foo", "1.1"))
    index.add("foo", "foo-1.2.tar.gz", sdist("foo", "1.2"), 'data-yanked="bad"')
    index.add("foo", "foo-1.3.tar.gz", sdist("foo", "1.3"), 'data-requires-python="&lt;3.14"')
    index.add("foo", "foo-2.0rc1.tar.gz", sdist("foo", "2.0rc1"))
    assert ask("[packages.foo]", store, settings).found["foo"].version == "1.1"
    assert ask("[packages.foo]\nversion='<1.1'", store, settings).found["foo"].version == "1.0"
    assert ask("[packages.foo]\nversion='==1.2'", store, settings).found["foo"].version == "1.2"
    assert (
        ask("[packages.foo]\nversion='==2.0rc1'", store, settings).found["foo"].version == "2.0rc1"
    )


def test_every_kind_of_trouble_is_a_fault_of_its_package_alone(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("good", "good-1.0.tar.gz", sdist("good", "1.0"))
    index.add("wheels", f"wheels-1.0-cp314-cp314-{NATIVE}.whl", wheel("wheels", "1.0"))
    index.add("tampered", "tampered-1.0.tar.gz", sdist("tampered", "1.0"), sha256="0" * 64)
    index.add("old", "old-1.0.tar.gz", sdist("old", "1.0"), 'data-requires-python="&lt;3.14"')
    (tmp_path / "other-1.0.tar.gz").write_bytes(sdist("different", "1.0"))
    (tmp_path / "garbage.tar.gz").write_bytes(b"garbage")
    text = f"""
        [packages.good]
        [packages.unknown]
        [packages.wheels]
        [packages.tampered]
        [packages.old]
        [packages.pinned]
        sdist = "other-1.0.tar.gz"
        sha256 = "{"1" * 64}"
        [packages.missing]
        sdist = "missing.tar.gz"
        [packages.other]
        sdist = "other-1.0.tar.gz"
        [packages.garbage]
        sdist = "garbage.tar.gz"
        [packages.none-such]
        version = ">99"
    """
    index.add("none-such", "none_such-1.0.tar.gz", sdist("none_such", "1.0"))
    answer = ask(text, store, settings, tmp_path)
    assert {name: fault.code for name, fault in answer.faults.items()} == {
        "unknown": "WF101",
        "wheels": "WF102",
        "tampered": "WF103",
        "pinned": "WF103",
        "none-such": "WF104",
        "missing": "WF105",
        "other": "WF105",
        "garbage": "WF105",
        "old": "WF107",
    }
    assert list(answer.found) == ["good"]


def test_a_local_sdist(served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path):
    (tmp_path / "foo-3.1.tar.gz").write_bytes(sdist("Foo", "3.1", requires=("bar",)))
    source = ask('[packages.foo]\nsdist = "foo-3.1.tar.gz"', store, served[1], tmp_path).found[
        "foo"
    ]
    assert (source.kind, source.version) == ("local", "3.1")
    assert source.trouble  # nobody serves what it requires
    assert store.file(source.sha256).exists()


def test_what_a_package_needs_is_found_from_metadata(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    requires = (
        "nat>=1",
        "pure",
        "win; sys_platform == 'win32'",
        "extra; extra == 'more'",
        "mat[more]",
    )
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=requires))
    index.add("nat", "nat-1.5.tar.gz", sdist("nat", "1.5", requires=("deep",)))
    index.add("pure", "pure-2.0-py3-none-any.whl", wheel("pure", "2.0"))
    index.add("deep", "deep-1.0-py3-none-any.whl", wheel("deep", "1.0"))
    index.add("mat", "mat-1.0.tar.gz", sdist("mat", "1.0", requires=("plus; extra == 'more'",)))
    index.add("plus", "plus-1.0-py2.py3-none-any.whl", wheel("plus", "1.0"))
    answer = ask("[packages.app]\n[packages.mat]", store, settings)
    assert answer.faults == {}
    assert answer.found["app"].needs == ("mat", "nat")
    assert [pure.name for pure in answer.found["app"].pure] == ["deep", "plus", "pure"]
    assert answer.found["nat"].needed_by == "app"
    assert answer.found["mat"].needed_by == ""


def test_what_has_to_be_imported_first_is_there(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("late", "late-1.0.tar.gz", sdist("late", "1.0"))
    index.add("early", "early-2.0-py3-none-any.whl", wheel("early", "2.0"))
    alone = ask("[packages.late]", store, settings).found["late"]
    assert alone.pure == ()

    text = "[packages.late]\nimport-after = ['Early']"
    source = ask(text, store, settings).found["late"]
    assert [pure.filename for pure in source.pure] == ["early-2.0-py3-none-any.whl"]
    assert source.requires == alone.requires


def test_the_matrix_own_version_is_preferred(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("nat",)))
    for version in ("1.0", "2.0"):
        index.add("nat", f"nat-{version}.tar.gz", sdist("nat", version))
    answer = ask("[packages.app]\n[packages.nat]\nversion='==1.0'", store, settings)
    assert answer.found["nat"].version == "1.0"
    assert answer.found["app"].needs == ("nat",)


def test_a_contradiction_is_said_and_stops_nothing(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("nat>5",)))
    index.add("nat", "nat-1.0.tar.gz", sdist("nat", "1.0"))
    assert "nat>5" in ask("[packages.app]", store, settings).found["app"].trouble


def test_what_a_release_requires_is_read_once(
    served: tuple[LocalIndex, IndexSettings], store: Store, monkeypatch: pytest.MonkeyPatch
):
    index, settings = served
    read: list[str] = []
    from_files = Index._read_metadata

    def count(client: Index, release: Release):
        read.append(str(release.version))
        return from_files(client, release)

    monkeypatch.setattr(Index, "_read_metadata", count)
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0", requires=("bar",)))
    index.add("bar", "bar-2.0-py3-none-any.whl", wheel("bar", "2.0"))
    first = ask("[packages.foo]", store, settings)
    assert sorted(read) == ["1.0", "2.0"]
    assert ask("[packages.foo]", store, settings) == first
    assert sorted(read) == ["1.0", "2.0"]
    index.add(
        "bar", "bar-2.0-py2.py3-none-any.whl", wheel("bar", "2.0")
    )  # the release has another file
    ask("[packages.foo]", store, settings)
    assert sorted(read) == ["1.0", "2.0", "2.0"]


def test_no_index_hears_of_what_is_at_hand(tmp_path: Path, store: Store):
    (tmp_path / "foo.tar.gz").write_bytes(sdist("foo", "1.0", requires=("bar>=2",)))
    (tmp_path / "bar.tar.gz").write_bytes(sdist("bar", "2.0"))
    with serving(tmp_path) as (_, settings):
        pass  # it is gone: whoever asks it is told so
    answer = ask(
        'packages.foo.sdist = "foo.tar.gz"\npackages.bar.sdist = "bar.tar.gz"',
        store,
        settings,
        tmp_path,
    )
    assert answer.found["foo"].needs == ("bar",)
    assert [source.trouble for source in answer.found.values()] == ["", ""]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [("==1.2", "1.2.0"), ("==1.2.0.0", "1.2.0"), ("==1.2.1", "1.2.1"), ("==1!2", "1!2.0"), ("===1.20", "1.20"),
     ("==2.0rc1", "2.0rc1"), ("==3.0", "3.0+local"), ("==1.2.*", "1.2.1"), ("==1.2,!=1.3", "1.2.0")],
)  # fmt: skip
def test_a_version_is_found_however_it_is_written(
    served: tuple[LocalIndex, IndexSettings], store: Store, wanted: str, version: str
):
    index, settings = served
    for one in ("1.2.0", "1.2.1", "1.20", "12.0", "1!2.0", "2.0rc1", "3.0+local"):
        index.add("foo", f"foo-{one}.tar.gz", sdist("foo", one))
    assert (
        ask(f"[packages.foo]\nversion='{wanted}'", store, settings).found["foo"].version == version
    )


HOSTILE_NAMES = ("../../evil/foo-9.0.tar.gz", "/etc/foo-9.0.tar.gz", "..%2f..%2ffoo-9.0.tar.gz", "foo-../../9.0.tar.gz", "foo-9.0%00.tar.gz",
                 'foo-9.0"&gt;&lt;script&gt;.tar.gz', "foo-9.0/../../x.tar.gz", "foo-9.0 .tar.gz", "..-9.0.tar.gz", "foo-" + "9" * 5000 + ".tar.gz")  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE_NAMES)
def test_a_hostile_file_name_on_a_page_is_no_path(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path, hostile: str
):
    index, settings = served
    index.links["foo"] = [f'<a href="evil.tar.gz">{hostile}</a>']
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    (tmp_path / "index" / "foo" / "evil.tar.gz").write_bytes(sdist("foo", "9.0"))
    before = {path for path in tmp_path.rglob("*") if "wheelhouse" not in path.parts}
    answer = ask("[packages.foo]", store, settings)
    assert {name: (one.version, one.filename) for name, one in answer.found.items()} == {
        "foo": ("1.0", "foo-1.0.tar.gz")
    }
    assert {path for path in tmp_path.rglob("*") if "wheelhouse" not in path.parts} == before


def test_absurd_numbers_in_metadata_are_passed_over(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    absurd = "9" * 5000
    needs = (f"gone>={absurd}", f"gone; python_version < '{absurd}'", "bar")
    index.add(
        "foo",
        "foo-1.0.tar.gz",
        sdist("foo", "1.0", requires=needs),
        f'data-requires-python="&lt;{absurd}"',
    )
    index.add("bar", "bar-1.0.tar.gz", sdist("bar", "1.0"))
    assert ask("[packages.foo]", store, settings).found["foo"].needs == ("bar",)


LIFTS = '--- a/pyproject.toml\n-requires-python = "<3.14"\n+requires-python = ">=3.9"\n'
OTHER = "--- a/setup.py\n+import os\n"


def test_a_cap_on_python_is_lifted_by_a_patch_on_the_index_and_in_a_local_sdist_alike(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("far", "far-1.0.tar.gz", sdist("far", "1.0"), 'data-requires-python="&lt;3.14"')
    (tmp_path / "near-1.0.tar.gz").write_bytes(sdist("near", "1.0", requires_python="<3.14"))
    patch = tmp_path / "a.patch"

    def found(patches: str) -> dict[str, str]:
        text = f"""
            [packages.far]
            {patches}
            [packages.near]
            sdist = "near-1.0.tar.gz"
            {patches}
        """
        answer = ask(text, store, settings, tmp_path, fresh_s=3600.0)
        return {
            **dict.fromkeys(answer.found, ""),
            **{name: fault.code for name, fault in answer.faults.items()},
        }

    assert found("") == {"far": "WF107", "near": "WF107"}
    patch.write_text(OTHER)
    assert found('patches = ["a.patch"]') == {"far": "WF107", "near": "WF107"}
    patch.write_text(LIFTS)
    assert found('patches = ["a.patch"]') == {"far": "", "near": ""}


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize("root", ["", "./foo-1.0/", "any-folder/"])
def test_an_archive_in_an_older_shape_is_an_sdist(
    root: str, kind: str, served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    (tmp_path / f"foo-1.0.{kind}").write_bytes(sdist("foo", "1.0", kind=kind, root=root))
    answer = ask(f'[packages.foo]\nsdist = "foo-1.0.{kind}"', store, served[1], tmp_path)
    assert answer.found["foo"].version == "1.0"


def test_an_archive_of_a_repository_is_told_from_a_damaged_one(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    content = archive("tar.gz", {"foo-main/setup.py": b"from setuptools import setup\n"})
    (tmp_path / "foo-main.tar.gz").write_bytes(content)
    fault = ask('[packages.foo]\nsdist = "foo-main.tar.gz"', store, settings, tmp_path).faults[
        "foo"
    ]
    assert fault.code == "WF105"
    assert "as archives of a repository have none: make an sdist of it with" in fault.detail

    # On the index its name and version are in its file's name, which is all that pip needs.
    index.add("old", "old-1.0.tar.gz", content)
    assert ask("[packages.old]", store, settings).found["old"].requires == ()


@pytest.mark.parametrize("version", ["ibl_1.3.0", "", "1.0 beta"])
def test_a_version_that_is_none_is_a_finding_of_its_package_alone(
    version: str, served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    (tmp_path / "odd-1.tar.gz").write_bytes(sdist("odd", version))
    (tmp_path / "fine-1.0.tar.gz").write_bytes(sdist("fine", "1.0"))
    text = """
        [packages.odd]
        sdist = "odd-1.tar.gz"
        [packages.fine]
        sdist = "fine-1.0.tar.gz"
    """
    answer = ask(text, store, served[1], tmp_path)
    assert {name: fault.code for name, fault in answer.faults.items()} == {"odd": "WF105"}
    assert list(answer.found) == ["fine"]


def test_several_versions_of_a_project_are_found_and_others_get_the_newest_that_will_do(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    for version in ("1.0", "2.0", "3.0"):
        index.add("nat", f"nat-{version}.tar.gz", sdist("nat", version))
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("nat",)))
    index.add("late", "late-1.0.tar.gz", sdist("late", "1.0", requires=("nat<2",)))
    index.add("odd", "odd-1.0.tar.gz", sdist("odd", "1.0", requires=("nat==3.0",)))
    answer = ask(
        """
        [packages.nat]
        version = "==1.0"
        [packages."nat==2.0"]
        [packages.app]
        [packages.late]
        [packages.odd]
        """,
        store,
        settings,
    )
    assert answer.faults == {}
    versions = {name: source.version for name, source in answer.found.items()}
    assert versions == {"nat": "1.0", "nat==2.0": "2.0", "app": "1.0", "late": "1.0", "odd": "1.0"}
    assert {source.project for source in answer.found.values()} == {"nat", "app", "late", "odd"}
    assert answer.found["app"].needs == ("nat==2.0",)
    assert answer.found["late"].needs == ("nat",)
    assert answer.found["odd"].needs == (
        "nat==2.0",
    )  # as of one version: loading it shows the rest


def test_several_versions_of_a_pure_project_are_served_and_needed_each_by_its_own(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    for version in ("1.0", "2.0"):
        index.add("pure", f"pure-{version}-py3-none-any.whl", wheel("pure", version))
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("pure<2",)))
    text = '[packages."pure==1.0"]\n[packages."pure==2.0"]\n[packages.app]'
    answer = ask(text, store, settings)
    both = [answer.found[name].only_pure for name in ("pure==1.0", "pure==2.0")]
    assert [(pure.name, pure.version) for pure in both if pure is not None] == [
        ("pure", "1.0"),
        ("pure", "2.0"),
    ]
    assert [pure.version for pure in answer.found["app"].pure] == ["1.0"]
    assert ask(text, store, settings, fresh_s=60) == answer


def test_a_version_that_is_not_there_is_a_fault_of_that_version_alone(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    index, settings = served
    index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
    (tmp_path / "bar.tar.gz").write_bytes(sdist("bar", "1.0"))
    answer = ask(
        """
        [packages.foo]
        [packages."foo==9.0"]
        [packages."bar==1.0"]
        sdist = "bar.tar.gz"
        [packages."bar==2.0"]
        sdist = "bar.tar.gz"
        """,
        store,
        settings,
        tmp_path,
    )
    assert sorted(answer.found) == ["bar==1.0", "foo"]
    assert {name: fault.code for name, fault in answer.faults.items()} == {
        "foo==9.0": "WF104",
        "bar==2.0": "WF105",
    }
    assert "expected version 2.0" in answer.faults["bar==2.0"].detail
