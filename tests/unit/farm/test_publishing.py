"""What a run publishes where the matrix has a rollout."""

from pathlib import Path

from builder.farm import publishing
from builder.index.closure import Closure
from builder.judge.package import JudgedPackage, Judgement, Wheel
from builder.sources import Source
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.index.channel_samples import add_release, listed, name, rollout


def close_on(store: Store, verdict: Verdict) -> Closure:
    """Return what a run has to publish of foo, whose wheel for cp314t has a verdict."""
    file = add_release(store, "foo")
    wheel = Wheel(
        filename=file.filename,
        base="debian-12",
        sha256=file.sha256,
        floor="manylinux_2_17",
        requires_python="",
        log="",
    )
    source = Source(name="foo", version="1.0", kind="index", filename="foo-1.0.tar.gz", sha256="0")
    judgement = Judgement(abi="cp314t", verdict=verdict, reason="why", wheels=(wheel,))
    package = JudgedPackage(name="foo", version="1.0", source=source, abis={"cp314t": judgement})
    return Closure(packages=(package,), withheld={})


def test_a_run_fills_canary_and_applications_are_tried_with_that(tmp_path: Path):
    loaded = rollout("foo")
    with Store(tmp_path / "w") as store:
        content = publishing.publish(close_on(store, Verdict.UNPROVEN), loaded, store)
        assert (listed(store, "canary"), listed(store, "simple")) == ({name("foo")}, set())
        assert content["foo"][0].verdicts == "cp314t unproven"
        folder = store.wheelhouse / "constraints"
        assert "foo==1.0" in (folder / "canary/cp314t.txt").read_text()
        assert "foo==1.0" not in (folder / "cp314t.txt").read_text()

        plain = loaded.model_copy(update={"rollout": None})
        publishing.publish(close_on(store, Verdict.UNPROVEN), plain, store)
        assert listed(store, "simple") == {name("foo")}
        assert not (store.wheelhouse / "canary").exists()
        assert not (folder / "canary").exists()

        publishing.publish(close_on(store, Verdict.UNPROVEN), loaded, store)
        publishing.publish(close_on(store, Verdict.RACY), loaded, store)
        assert (listed(store, "canary"), listed(store, "simple")) == (set(), set())
        assert listed(store, "quarantine/simple") == {name("foo")}
