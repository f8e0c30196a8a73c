import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from builder import index
from builder.store.store import Store
from tests.unit.wheels import add_wheel, read_note


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs))


def links(page: Path) -> list[dict[str, str | None]]:
    parser = Links()
    parser.feed(page.read_text())
    return parser.found


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def entry(
    store: Store, filename: str, content: str = "x", requires_python: str = ""
) -> index.Entry:
    sha256 = add_wheel(store, filename, content)
    return index.Entry(filename=filename, sha256=sha256, requires_python=requires_python)


GIL = "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
FREE = "foo_bar-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"


def test_pages_name_every_file_with_its_hash(store: Store):
    one = entry(store, GIL, requires_python=">=3.9")
    index.publish(index.make_manifest([one, entry(store, FREE, "y")]), store)
    root = store.wheelhouse / "simple"
    assert [link["href"] for link in links(root / "index.html")] == ["foo-bar/"]
    found = links(root / "foo-bar" / "index.html")
    assert [link["href"].partition("#")[0] for link in found if link["href"]] == [GIL, FREE]
    assert found[0]["href"] == f"{GIL}#sha256={one.sha256}"
    assert found[0]["data-requires-python"] == ">=3.9"
    assert read_note(root / "foo-bar" / GIL) == "x"
    answer = json.loads((root / "foo-bar" / "index.json").read_text())
    assert answer["meta"]["api-version"] == "1.0"
    assert answer["files"][0]["hashes"] == {"sha256": one.sha256}


def test_of_two_files_with_one_name_the_first_is_served(store: Store):
    first, second = entry(store, GIL, "first"), entry(store, GIL, "second")
    index.publish(index.make_manifest([first, second]), store)
    assert read_note(store.wheelhouse / "simple/foo-bar" / GIL) == "first"


def test_what_is_withdrawn_goes_and_what_is_replaced_changes(store: Store):
    index.publish(
        index.make_manifest(
            [entry(store, GIL), entry(store, FREE), entry(store, "gone-1-py3-none-any.whl")]
        ),
        store,
    )
    index.publish(index.make_manifest([entry(store, GIL, "new")]), store)
    root = store.wheelhouse / "simple"
    assert sorted(path.name for path in root.iterdir()) == [
        ".published",
        "foo-bar",
        "index.html",
        "index.json",
    ]
    names = sorted(path.name for path in (root / "foo-bar").rglob("*") if path.is_file())
    assert names == [GIL, "index.html", "index.json"]
    assert [read_note(path) for path in (root / "foo-bar").rglob(GIL)] == ["new"]


def test_publishing_the_same_again_writes_nothing(store: Store):
    content = index.make_manifest([entry(store, GIL)])
    index.publish(content, store)
    root = store.wheelhouse / "simple"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    index.publish(content, store)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_names_are_escaped(store: Store):
    one = entry(store, GIL, requires_python='>=3"><script>')
    page = dict(index.render_pages(index.make_manifest([one])))["simple/foo-bar/index.html"]
    assert "<script>" not in page


def test_a_path_never_gets_another_content(store: Store):
    seen: dict[str, str] = {}
    for content in ("a", "b", "a", "c", "b"):
        index.publish(index.make_manifest([entry(store, GIL, content)]), store)
        root = store.wheelhouse / "simple/foo-bar"
        (link,) = links(root / "index.html")
        path = str(link["href"]).partition("#")[0]
        assert read_note(root / path) == content
        assert json.loads((root / "index.json").read_text())["files"][0]["url"] == path
        assert seen.setdefault(path, content) == content
        assert {str(found.relative_to(root)) for found in root.rglob("*.whl")} == {path}, (
            "what no page names is gone"
        )
    assert len(seen) == 3
    assert seen[GIL] == "a"
