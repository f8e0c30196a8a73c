"""Runs, promotions and rollbacks of an index with a canary channel, on disk and in the ledger."""

import importlib
import json
from pathlib import Path

import pytest

from builder import index
from builder.config import matrix
from builder.errors import PromotionError, UnknownSnapshotError
from builder.index import channels, constraints
from builder.index.channels import PromotionRequest
from builder.store.store import Store
from tests.unit.index.channel_samples import add_release, listed, name, rollout, run

publishing = importlib.import_module(
    "builder.index.publish"
)  # its name in the package is the function's
ADA = PromotionRequest(by="ada", reason="it is fine")


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_new_is_in_canary_alone_until_it_is_promoted(store: Store):
    loaded = rollout("foo", "bar")
    run(store, loaded, add_release(store, "foo"), add_release(store, "bar", "1.0", "foo"))
    assert listed(store, "canary") == {name("foo"), name("bar")}
    assert listed(store, "simple") == set()

    done = channels.promote(store, loaded, PromotionRequest(names=["bar"], by="ada"))
    assert [item.release.name for item in done.promoted] == ["bar==1.0", "foo==1.0"]
    assert listed(store, "simple") == listed(store, "canary")
    assert not channels.list_pending(store, loaded)


def test_a_promotion_is_recorded_with_who_why_and_gates(store: Store):
    loaded = rollout("foo", age="3 days")
    run(store, loaded, add_release(store, "foo"))
    refused = channels.promote(store, loaded, ADA)
    assert [item.release.name for item in refused.refused] == ["foo==1.0"]
    assert store.publications.channel_changes() == []

    channels.promote(store, loaded, PromotionRequest(by="ada", reason="a CVE", forced=True))
    (change,) = store.publications.channel_changes()
    assert (change.kind, change.by, change.reason) == ("promotion", "ada", "a CVE")
    assert change.snapshot == store.publications.current_snapshot()
    (release,) = change.releases
    assert release["forced"]
    assert [part["outcome"] for part in release["gates"]] == ["passed", "failed"]


def test_a_run_promotes_what_passes_where_the_matrix_says_so(store: Store):
    loaded = rollout("foo", "bar", automatic=True, verdicts=["compatible"])
    bar = add_release(store, "bar", verdicts="cp314t unproven")
    done = run(store, loaded, add_release(store, "foo"), bar)
    assert listed(store, "simple") == {name("foo")}
    assert [item.release.name for item in done.promotion.promoted] == ["foo==1.0"]
    assert store.publications.channel_changes()[0].by == "runner"


def test_time_alone_promotes_without_a_run(store: Store):
    run(store, rollout("foo"), add_release(store, "foo"))
    assert channels.promote_passing(store, rollout("foo"), "ada") == ()
    assert channels.promote_passing(store, rollout("foo", automatic=True, age="1 day"), "a") == ()
    (done,) = channels.promote_passing(store, rollout("foo", automatic=True), "ada")
    assert done.release.name == "foo==1.0"
    assert channels.promote_passing(store, rollout("foo", automatic=True), "ada") == ()


def test_what_policy_refuses_leaves_both_channels_at_once(store: Store):
    loaded = rollout("foo", automatic=True)
    foo = add_release(store, "foo")
    run(store, loaded, foo)
    done = run(store, loaded, refused=(foo,))
    assert list(done.withdrawn) == [name("foo")]
    assert (listed(store, "simple"), listed(store, "canary")) == (set(), set())
    assert listed(store, "quarantine/simple") == {name("foo")}


def test_a_new_verdict_stays_served_and_is_pending(store: Store):
    loaded = rollout("foo")
    run(store, loaded, add_release(store, "foo"))
    channels.promote(store, loaded, ADA)
    run(store, loaded, add_release(store, "foo", verdicts="cp314t distinct"))
    assert listed(store, "simple") == {name("foo")}
    (pending,) = channels.list_pending(store, loaded)
    (file,) = pending.release.files
    assert (file.before, file.entry.verdicts) == ("cp314t compatible", "cp314t distinct")
    channels.promote(store, loaded, ADA)
    assert not channels.list_pending(store, loaded)


def test_a_build_under_the_same_name_waits_beside_what_is_served(store: Store):
    loaded = rollout("foo")
    first = add_release(store, "foo", note="first")
    run(store, loaded, first)
    channels.promote(store, loaded, ADA)
    second = add_release(store, "foo", note="second")
    run(store, loaded, second)
    page = json.loads((store.wheelhouse / "simple/foo/index.json").read_text())
    assert [file["hashes"]["sha256"] for file in page["files"]] == [first.sha256]
    channels.promote(store, loaded, ADA)
    page = json.loads((store.wheelhouse / "simple/foo/index.json").read_text())
    assert [file["hashes"]["sha256"] for file in page["files"]] == [second.sha256]
    assert listed(store, "simple") == {name("foo")}


def test_a_rollback_of_a_promotion_is_recorded_and_keeps_it_out(store: Store):
    loaded = rollout("foo", automatic=True)
    foo = add_release(store, "foo")
    run(store, rollout("foo"), foo)
    channels.promote(store, loaded, ADA)
    index.rollback(store, by="eve", reason="it crashed")
    assert (listed(store, "simple"), listed(store, "canary")) == (set(), {name("foo")})

    run(store, loaded, foo)
    assert listed(store, "simple") == set()
    (pending,) = channels.list_pending(store, loaded)
    assert "eve took it back" in pending.gates[-1].reason
    assert channels.promote(store, loaded, ADA).refused

    channels.promote(store, loaded, PromotionRequest(by="ada", reason="mended", forced=True))
    assert listed(store, "simple") == {name("foo")}
    kinds = [change.kind for change in store.publications.channel_changes()]
    assert kinds == ["promotion", "rollback", "promotion"]


def test_the_table_comes_and_goes_and_every_snapshot_can_be_returned_to(store: Store):
    foo, bar = add_release(store, "foo"), add_release(store, "bar")
    plain = index.describe([foo], store)
    before = index.publish(plain, store)
    pages = tree(store.wheelhouse / "simple")

    during = run(store, rollout("foo", "bar"), foo, bar).publication
    assert listed(store, "simple") == {name("foo")}
    assert listed(store, "canary") == {name("foo"), name("bar")}
    (pending,) = channels.list_pending(store, rollout("foo", "bar"))
    assert pending.release.name == "bar==1.0"

    index.rollback(store, before.snapshot)
    assert tree(store.wheelhouse / "simple") == pages
    assert not (store.wheelhouse / "canary").exists()

    after = index.publish(index.describe([foo, bar], store), store)
    assert not (store.wheelhouse / "canary").exists()
    index.rollback(store, during.snapshot)
    assert listed(store, "canary") == {name("foo"), name("bar")}
    index.rollback(store, after.snapshot)
    assert listed(store, "simple") == {name("foo"), name("bar")}


def test_without_the_table_everything_is_as_it_was(tmp_path: Path):
    """A manifest of before there were verdicts in it gives the same snapshot, pages and state."""
    found: list[tuple[str, dict[str, bytes]]] = []
    for folder, verdicts in (("one", ""), ("two", "cp314t compatible")):
        with Store(tmp_path / folder) as store:
            foo = add_release(store, "foo", verdicts=verdicts)
            entries = index.describe([foo], store)["foo"]
            plain = [
                index.Entry(filename=one.filename, sha256=one.sha256, metadata=one.metadata)
                for one in entries
            ]
            done = index.publish(index.make_manifest(plain), store)
            assert set(store.publications.snapshot(done.snapshot)) == {
                "simple",
                "quarantine/simple",
            }
            found.append((done.snapshot, tree(store.wheelhouse / "simple")))
    assert found[0] == found[1]


def test_constraints_say_what_each_channel_installs(store: Store):
    loaded = rollout("foo", "bar")
    first = run(store, loaded, add_release(store, "foo", verdicts="cp314t gil-required"))
    constraints.write_channels(first.publication, ["cp314t"], {}, store.wheelhouse)
    channels.promote(store, loaded, ADA)
    second = run(store, loaded, add_release(store, "foo", "2.0"), add_release(store, "bar"))
    constraints.write_channels(second.publication, ["cp314t"], {}, store.wheelhouse)

    folder = store.wheelhouse / constraints.FOLDER
    assert "foo==2.0" in (folder / "canary/cp314t.txt").read_text().splitlines()
    assert (folder / "cp314t.txt").read_text().splitlines()[1:] == [
        "foo==1.0  # gil-required",
        "",
        "# Not served at all:",
        "#   bar: in canary/, and not promoted yet",
    ]
    channels.promote(store, loaded, ADA)
    assert (folder / "cp314t.txt").read_text() == (folder / "canary/cp314t.txt").read_text()
    index.publish({}, store)
    index.rollback(store, store.publications.snapshot_ids()[-1])
    assert "bar==1.0" not in (folder / "cp314t.txt").read_text()


def test_an_index_without_the_channel_has_nothing_to_promote(store: Store):
    with pytest.raises(PromotionError, match=r"no table \[rollout\]"):
        channels.promote(store, matrix.parse({"packages": {"foo": {}}}, Path("m.toml")), ADA)
    with pytest.raises(PromotionError, match="wheelfarm run"):
        channels.list_pending(store, rollout())
    run(store, rollout(), add_release(store, "foo"))
    for unknown in ("bar", "foo==9", "../x"):
        with pytest.raises(PromotionError, match="no such package"):
            channels.promote(store, rollout(), PromotionRequest(names=[unknown], by="ada"))


def test_a_name_means_every_release_or_one(store: Store):
    loaded = rollout("foo")
    run(store, loaded, add_release(store, "foo", "1.0"), add_release(store, "foo", "2.0"))
    channels.promote(store, loaded, PromotionRequest(names=["Foo==2"], by="ada"))
    assert listed(store, "simple") == {name("foo", "2.0")}
    channels.promote(store, loaded, PromotionRequest(names=["foo"], by="ada"))
    assert listed(store, "simple") == {name("foo", "1.0"), name("foo", "2.0")}


@pytest.mark.parametrize("channel", ["simple", "canary", "quarantine/simple"])
def test_a_promotion_that_was_killed_is_completed(
    store: Store, channel: str, monkeypatch: pytest.MonkeyPatch
):
    """Killed before any channel: what was served is served, with its file, and the next promotion does it all."""
    loaded = rollout("foo", "bar")
    bar = add_release(store, "bar")
    run(store, loaded, bar)
    channels.promote(store, loaded, ADA)
    run(store, loaded, bar, add_release(store, "foo"))

    with monkeypatch.context() as patched:
        publish_channel = publishing._publish_channel

        def die(content: object, digests: object, wanted: str, *more: object, **options: bool):
            if wanted == channel:
                raise KeyboardInterrupt
            return publish_channel(content, digests, wanted, *more, **options)

        patched.setattr(publishing, "_publish_channel", die)
        with pytest.raises(KeyboardInterrupt):
            channels.promote(store, loaded, ADA)

    assert name("bar") in listed(store, "simple")
    assert listed(store, "canary") == {name("foo"), name("bar")}
    assert len(store.publications.channel_changes()) == 1
    channels.promote(store, loaded, ADA)
    assert listed(store, "simple") == {name("foo"), name("bar")}
    assert len(store.publications.channel_changes()) == 2


def test_files_are_there_before_a_page_names_them(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Whatever page is written, every file that it names lies beside it, in every channel."""
    loaded = rollout("foo")
    replace_text = publishing.replace_text
    written: list[str] = []

    def look(target: Path, text: str):
        replace_text(target, text)
        if target.name == "index.json" and "files" in json.loads(text):
            for file in json.loads(text)["files"]:
                assert (target.parent / file["url"]).exists()
            written.append(str(target.relative_to(store.wheelhouse)))

    monkeypatch.setattr(publishing, "replace_text", look)
    run(store, loaded, add_release(store, "foo"))
    channels.promote(store, loaded, ADA)
    assert written == ["canary/foo/index.json", "simple/foo/index.json"]


def test_a_rollback_looks_at_what_differs_and_thoroughly_at_all(store: Store):
    foo, bar = add_release(store, "foo"), add_release(store, "bar")
    first = index.publish(index.describe([foo, bar], store), store)
    index.publish(index.describe([foo], store), store)
    page = store.wheelhouse / "simple/foo/index.html"
    page.write_text("damaged")
    store.file(foo.sha256).unlink()

    index.rollback(store, first.snapshot)
    assert (store.wheelhouse / "simple/bar" / name("bar")).exists()
    assert page.read_text() == "damaged"
    with pytest.raises(UnknownSnapshotError, match="no longer has"):
        index.rollback(store, first.snapshot, thorough=True)


def test_a_folder_that_is_gone_comes_back_with_any_publication(store: Store):
    content = index.describe([add_release(store, "foo")], store)
    index.publish(content, store)
    for path in (store.wheelhouse / "simple/foo").iterdir():
        path.unlink()
    (store.wheelhouse / "simple/foo").rmdir()
    (store.wheelhouse / "simple/stray").mkdir()
    index.publish(content, store)
    assert listed(store, "simple") == {name("foo")}
    assert not (store.wheelhouse / "simple/stray").exists()


def test_requirements_are_read_once(store: Store):
    loaded = rollout("foo")
    run(store, loaded, add_release(store, "foo", "1.0", "Bar_Baz >=1", "not a requirement!"))
    (text,) = store.publications.requirements().values()
    assert json.loads(text) == ["bar-baz>=1"]
    for path in (store.folder / "files").rglob("*"):
        if path.is_file() and b"Bar_Baz" in path.read_bytes() and path.read_bytes()[:2] != b"PK":
            path.unlink()
    assert channels.promote(store, loaded, ADA).refused == ()
