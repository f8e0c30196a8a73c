from pathlib import Path

import pytest

from builder import index
from builder.index.verify import explain_unfit
from builder.store.store import Store
from builder.untrusted.names import UntrustedNameError
from tests.unit.wheels import add_wheel

GIL = "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
OTHER = "other-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


def published(store: Store, *entries: index.Entry) -> tuple[index.Publication, set[str]]:
    """Publish files beside an honest one, and return what the index has."""
    honest = index.Entry(filename=OTHER, sha256=add_wheel(store, OTHER))
    projects = {"foo-bar": entries, "other": (honest,)}
    publication = index.publish(projects, store)
    root = store.wheelhouse / "simple"
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert (root / "other" / OTHER).is_file()
    return publication, {path.name for path in root.rglob("*.whl")}


def test_a_wheel_of_its_project_is_fit(store: Store):
    entry = index.Entry(filename=GIL, sha256=add_wheel(store, GIL))
    assert explain_unfit("foo-bar", entry, store) == ""
    publication, names = published(store, entry)
    assert (names, publication.refused) == ({GIL, OTHER}, {})


def test_a_wheel_of_another_project_is_not_published(store: Store):
    sha256 = add_wheel(store, "numpy-1.0-py3-none-any.whl")
    publication, names = published(store, index.Entry(filename=GIL, sha256=sha256))
    assert names == {OTHER}
    assert "is of numpy 1.0" in publication.refused[GIL]
    assert "foo-bar" not in (store.wheelhouse / "simple/index.html").read_text()
    # The next publication looks again, and so does a return to the snapshot.
    publication, names = published(store, index.Entry(filename=GIL, sha256=sha256))
    assert (names, list(publication.refused)) == ({OTHER}, [GIL])


@pytest.mark.parametrize("damage", ["gone", "changed", "link", "linked elsewhere", "folder"])
def test_what_is_not_the_promised_content_is_not_published(
    store: Store, tmp_path: Path, damage: str
):
    entry = index.Entry(filename=GIL, sha256=add_wheel(store, GIL))
    path = store.file(entry.sha256)
    content = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_text("other")
    elif damage == "link":
        (tmp_path / "same").write_bytes(content)
        path.symlink_to(tmp_path / "same")
    elif damage == "linked elsewhere":
        path.symlink_to("/etc/hostname")
    elif damage == "folder":
        path.mkdir()
    publication, names = published(store, entry)
    assert names == {OTHER}
    assert "missing or damaged" in publication.refused[GIL]


@pytest.mark.parametrize(
    ("filename", "sha256"),
    [
        (GIL, "/etc/hostname"),
        (GIL, "../../../../etc/hostname"),
        (GIL, "A" * 64),
        ("foo_bar-1.0-1../../../../x-py3-none-any.whl", "0" * 64),
        ("../foo_bar-1.0-py3-none-any.whl", "0" * 64),
        ("foo_bar-1.0-py3-none-any.whl\n", "0" * 64),
        (".published", "0" * 64),
        ("index.html", "0" * 64),
    ],
)
def test_names_and_hashes_make_no_paths(store: Store, filename: str, sha256: str):
    before = {path for path in store.wheelhouse.parent.rglob("*") if "simple" not in path.parts}
    publication, names = published(store, index.Entry(filename=filename, sha256=sha256))
    assert names == {OTHER}
    assert len(publication.refused) == 1
    after = {path for path in store.wheelhouse.parent.rglob("*") if "simple" not in path.parts}
    assert {path for path in after - before if path.suffix == ".whl"} == set()


def test_a_name_that_is_none_is_in_no_manifest():
    entry = index.Entry(filename="foo-1-1../../x-py3-none-any.whl", sha256="0" * 64)
    with pytest.raises(UntrustedNameError):
        index.make_manifest([entry])


def test_the_store_makes_no_path_of_anything_but_a_hash(store: Store):
    for name in ("/etc/passwd", "../x", "", "a" * 63, "G" * 64):
        with pytest.raises(UntrustedNameError):
            store.file(name)


def test_links_in_the_index_go(store: Store, tmp_path: Path):
    entry = index.Entry(filename=GIL, sha256=add_wheel(store, GIL))
    published(store, entry)
    root = store.wheelhouse / "simple"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "index.html").write_text("precious")
    (outside / GIL).write_text("precious")
    (root / "foo-bar" / GIL).unlink()
    (root / "foo-bar" / GIL).symlink_to(store.file(entry.sha256))
    (root / "foo-bar" / "more.whl").symlink_to(outside / GIL)
    (root / "foo-bar" / "folder").symlink_to(outside)
    (root / "gone").symlink_to(outside)
    (root / ".published").unlink()
    _, names = published(store, entry)
    assert names == {GIL, OTHER}
    assert (outside / "index.html").read_text() == (outside / GIL).read_text() == "precious"


def test_a_project_that_is_a_link_is_made_anew(store: Store, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.wheelhouse / "simple").mkdir()
    (store.wheelhouse / "simple/foo-bar").symlink_to(outside)
    published(store, index.Entry(filename=GIL, sha256=add_wheel(store, GIL)))
    assert list(outside.iterdir()) == []
