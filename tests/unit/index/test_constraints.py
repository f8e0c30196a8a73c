from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from builder import index
from builder.index import constraints, policy
from builder.judge.package import JudgedPackage, Judgement
from builder.sources import Source
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.wheels import add_wheel

PLATFORM = "manylinux_2_17_x86_64"
GIL = f"foo_bar-1.0-cp314-cp314-{PLATFORM}.whl"
FREE = f"foo_bar-1.0-cp314-cp314t-{PLATFORM}.whl"
STABLE = f"stable-2.0+local-cp39-abi3-{PLATFORM}.whl"
PURE = ("pure-3.0-py3-none-any.whl", "pure-3.1-py3-none-any.whl")


def manifest(*filenames: str) -> index.Manifest:
    return index.make_manifest(index.Entry(filename=name, sha256=name) for name in filenames)


def rendered(*filenames: str, **remarks: dict[str, str]) -> dict[str, list[str]]:
    texts = constraints.render(manifest(*filenames), ["cp314", "cp314t"], remarks)
    return {name: text.splitlines()[1:] for name, text in texts}


def test_what_is_served_is_pinned_for_each_abi():
    found = rendered(GIL, FREE, PURE[0])
    assert found == {
        "cp314.txt": ["foo-bar==1.0", "pure==3.0"],
        "cp314t.txt": ["foo-bar==1.0", "pure==3.0"],
    }


def test_what_must_stay_with_the_gil_is_named_with_the_reason():
    found = rendered(GIL, FREE, STABLE, cp314t={"stable": "abi-mismatch: it is abi3\nevil==6"})[
        "cp314t.txt"
    ]
    assert found == [
        "foo-bar==1.0",
        "",
        "# Must stay on cp314:",
        "#   stable: abi-mismatch: it is abi3 evil==6",
    ]
    assert rendered(STABLE)["cp314t.txt"][-1] == "#   stable: there is no wheel for cp314t"


def test_what_is_served_with_a_cost_says_so():
    assert rendered(FREE, cp314t={"foo-bar": "gil-required: foo.bar"})["cp314t.txt"] == [
        "foo-bar==1.0  # gil-required: foo.bar"
    ]


def test_what_is_nowhere_is_a_comment():
    assert rendered(cp314={"lost": "build-failure: no sdist"})["cp314.txt"] == [
        "", "# Not served at all:", "#   lost: build-failure: no sdist",
    ]  # fmt: skip


def test_two_versions_of_a_pure_wheel_are_a_range():
    assert rendered(*PURE)["cp314.txt"] == ["pure>=3.0,<=3.1  # served are 3.0, 3.1"]


@given(st.text(), st.text())
def test_no_remark_becomes_a_requirement(one: str, other: str):
    for lines in rendered(
        GIL, cp314={"foo-bar": one, "lost": other}, cp314t={"foo-bar": other}
    ).values():
        for line in "\n".join(lines).splitlines():
            stated = line.partition(" #")[0] if not line.startswith("#") else ""
            assert not stated or Requirement(stated).name == "foo-bar"


def test_remarks_are_of_verdicts_that_are_not_plainly_good():
    source = Source(name="foo", version="1.0", kind="index", filename="foo-1.0.tar.gz", sha256="0")
    abis = {
        "cp314": Judgement(abi="cp314", verdict=Verdict.COMPATIBLE, reason="all is well"),
        "cp314t": Judgement(abi="cp314t", verdict=Verdict.GIL_REQUIRED, reason="foo does it"),
    }
    judged = JudgedPackage(name="foo", version="1.0", source=source, abis=abis)
    assert policy.collect_remarks([judged]) == {"cp314t": {"foo": "gil-required: foo does it"}}


def test_rolling_back_returns_the_constraints_too(tmp_path: Path):
    store = Store(tmp_path / "wheelhouse")
    for number, served in enumerate(([GIL, FREE], [GIL])):
        content = index.make_manifest(
            index.Entry(filename=name, sha256=add_wheel(store, name, str(number)))
            for name in served
        )
        refused = [
            index.Entry(
                filename=FREE,
                sha256=add_wheel(store, FREE, str(number)),
                yanked="racy on cp314t: it races",
            )
        ]
        quarantine = index.make_manifest(refused if FREE not in served else [])
        index.publish(content, store, quarantine)
        constraints.write(content, ["cp314", "cp314t"], {}, store.wheelhouse)
    folder = store.wheelhouse / constraints.FOLDER
    assert "\nfoo-bar==1.0" not in (folder / "cp314t.txt").read_text()
    index.rollback(store)
    assert "\nfoo-bar==1.0\n" in (folder / "cp314t.txt").read_text()
    index.rollback(store)
    assert "#   foo-bar: racy on cp314t: it races\n" in (folder / "cp314t.txt").read_text()
    constraints.write({}, ["cp314"], {}, store.wheelhouse)
    assert [path.name for path in folder.iterdir()] == ["cp314.txt"]
    store.close()


def test_two_versions_in_the_matrix_are_a_range_with_what_is_to_be_known_of_each():
    other = f"foo_bar-2.0-cp314-cp314t-{PLATFORM}.whl"
    remarks = {"foo-bar": "2.0: gil-required: foo.bar"}
    assert rendered(FREE, other, cp314t=remarks)["cp314t.txt"] == [
        "foo-bar>=1.0,<=2.0  # served are 1.0, 2.0; 2.0: gil-required: foo.bar"
    ]
    # One of the two is not served: the other is pinned.
    assert rendered(FREE, cp314t=remarks)["cp314t.txt"] == [
        "foo-bar==1.0  # 2.0: gil-required: foo.bar"
    ]


def test_after_a_rollback_a_reason_is_still_of_its_version(tmp_path: Path):
    refused = [
        index.Entry(filename=FREE.replace("1.0", version, 1), sha256=version, yanked="it races")
        for version in ("2.0", "3.0")
    ]
    folder = tmp_path / constraints.FOLDER
    folder.mkdir()
    (folder / "cp314t.txt").touch()
    published = index.Publication(
        snapshot="",
        changed_projects={},
        served=manifest(FREE),
        canary=None,
        quarantine=index.make_manifest(refused),
        refused={},
    )
    constraints.rewrite(published, tmp_path)
    text = (folder / "cp314t.txt").read_text()
    assert "foo-bar==1.0  # 2.0: it races; 3.0: it races\n" in text


VERSIONS = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}((a|b|rc)[0-9]|\.post[0-9]|\+[a-z0-9]{1,4})?", fullmatch=True
)
LOCKS = st.dictionaries(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True),
    st.tuples(VERSIONS, st.lists(st.just("0" * 64), max_size=2)),
    max_size=5,
)  # fmt: skip


@given(lock=LOCKS)
def test_what_an_application_locked_is_read_as_it_was_written(
    lock: dict[str, tuple[str, list[str]]], tmp_path_factory: pytest.TempPathFactory
):
    wheelhouse = tmp_path_factory.getbasetemp()
    locked = [
        constraints.LockedFiles(name=name, version=version, hashes=tuple(hashes))
        for name, (version, hashes) in lock.items()
    ]
    constraints.write_application("shop", "cp314t", locked, wheelhouse)
    recorded = constraints.read_application("shop", "cp314t", wheelhouse)
    assert recorded is not None
    assert set(recorded) == {(name, version) for name, (version, _) in lock.items()}
    assert constraints.read_application("shop", "cp314", wheelhouse) is None
