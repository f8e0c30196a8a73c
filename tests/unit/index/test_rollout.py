"""What waits in canary, and what stays in simple meanwhile."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.index import manifest as manifests
from builder.index.gates import parse_verdicts
from builder.index.manifest import parse_listing, project_digests, render_listing
from builder.index.rollout import carry_over, find_pending, prune_replaced, stamp_entries
from tests.unit.index.channel_samples import (
    SINCE,
    entry,
    manifest,
    name,
    policy,
    requirements,
)


def test_a_new_release_and_a_new_verdict_wait_and_the_rest_does_not():
    served = manifest(entry("same"), entry("changed"), entry("newer", "1.0"))
    canary = manifest(
        entry("same"),
        entry("changed", verdicts="cp314t distinct"),
        entry("newer", "2.0", verdicts="cp314t unproven"),
        entry("first"),
    )
    pending = {release.name: release.files[0] for release in find_pending(served, canary)}
    assert {key: (file.before, file.is_served) for key, file in pending.items()} == {
        "changed==1.0": ("cp314t compatible", True),
        "first==1.0": ("", False),
        "newer==2.0": ("cp314t compatible", False),
    }


def test_a_wheel_that_was_built_again_under_its_name_waits():
    (release,) = find_pending(manifest(entry("foo")), manifest(entry("foo", sha256="b" * 64)))
    assert release.hashes == {"b" * 64}


def test_a_verdict_that_came_and_went_is_not_pending():
    later = entry("foo", since="2026-02-01T00:00:00+00:00")
    assert find_pending(manifest(entry("foo")), manifest(later)) == ()


def test_a_file_is_in_canary_since_it_has_its_verdicts():
    before = manifest(entry("same"), entry("changed"))
    admitted = manifest(
        *(entry(project, verdicts="", since="") for project in ("same", "changed", "new"))
    )
    verdicts = {(name("same"), name("same")): "cp314t compatible"}
    verdicts[name("changed"), name("changed")] = "cp314t distinct"
    stamped = stamp_entries(admitted, verdicts, before, "2026-03-01T00:00:00+00:00")
    since = {project: entries[0].since for project, entries in stamped.items()}
    assert since["same"] == SINCE
    assert since["changed"] == since["new"] == "2026-03-01T00:00:00+00:00"


def test_what_was_served_before_there_was_a_rollout_counts_as_promoted():
    old = entry("foo", verdicts="", since="")
    canary = manifest(entry("foo", verdicts="cp314t distinct"))
    carried = carry_over(manifest(old), canary, policy("foo"), requirements())
    assert carried.served == canary
    assert find_pending(carried.served, canary) == ()


def test_what_policy_no_longer_admits_is_withdrawn_with_what_needs_it():
    served = manifest(entry("foo"), entry("bar"), entry("app"), entry("other"))
    canary = manifest(entry("app"), entry("other"))
    carried = carry_over(
        served,
        canary,
        policy("foo", "bar", "app", "other", foo="racy"),
        requirements(bar_1_0=["foo>=1"], app_1_0=["bar"]),
    )
    assert list(carried.served) == ["other"]
    assert carried.withdrawn == {
        name("foo"): "racy on cp314t",
        name("bar"): "it needs foo>=1, of which nothing is left on cp314t",
        name("app"): "it needs bar, of which nothing is left on cp314t",
    }


def test_what_is_in_quarantine_is_in_no_other_channel():
    held = entry("foo", verdicts="")
    carried = carry_over(
        manifest(entry("foo")), {}, policy("foo", quarantine=manifest(held)), requirements()
    )
    assert not carried.served


def test_the_release_before_stays_until_the_next_is_promoted():
    served, canary = manifest(entry("foo", "1.0")), manifest(entry("foo", "2.0"))
    assert carry_over(served, canary, policy("foo"), requirements()).served == served
    assert prune_replaced(served, canary, requirements()) == served

    both = manifest(entry("foo", "1.0"), entry("foo", "2.0"))
    assert prune_replaced(both, canary, requirements()) == canary


def test_the_release_before_stays_while_something_needs_it():
    canary = manifest(entry("foo", "2.0"), entry("app", "2.0"))
    needs = requirements(app_1_0=["foo<2"], app_2_0=["foo>=2"])
    older = manifest(entry("foo", "1.0"), entry("foo", "2.0"), entry("app", "1.0"))
    assert prune_replaced(older, canary, needs) == older
    newer = manifest(*(entry("foo", version) for version in ("1.0", "2.0")), entry("app", "2.0"))
    assert prune_replaced(newer, canary, needs) == canary


def test_what_the_matrix_has_no_more_goes_unless_something_needs_it():
    served = manifest(entry("foo"), entry("needed"), entry("gone"), entry("circle"))
    needs = requirements(foo_1_0=["needed"], gone_1_0=["circle"], circle_1_0=["circle"])
    carried = carry_over(served, manifest(entry("foo", "2.0")), policy("foo"), needs)
    assert list(carried.served) == ["foo", "needed"]
    assert not carried.withdrawn


def test_without_a_rollout_rows_and_hashes_are_what_they_were():
    (plain,) = manifest(entry("foo", verdicts="cp314t compatible", since=""))["foo"]
    (row,) = json.loads(render_listing([plain]))
    assert len(row) == 7
    bare = entry("foo", verdicts="", since="")
    assert project_digests({"foo": (plain,)}) == project_digests({"foo": (bare,)})


@pytest.mark.parametrize("field", ["verdicts", "since"])
def test_what_a_rollout_knows_is_part_of_the_hash(field: str):
    changed = entry("foo", **{field: "2026-05-05T00:00:00+00:00"})
    assert project_digests(manifest(entry("foo"))) != project_digests(manifest(changed))


@given(st.text(), st.text(min_size=1))
def test_a_listing_is_read_as_it_was_written(verdicts: str, since: str):
    for written in (
        entry("foo", verdicts=verdicts, since=since),
        entry("foo", verdicts="", since=""),
    ):
        assert parse_listing(render_listing([written])) == (written,)


@given(st.text())
def test_any_text_is_read_as_verdicts(text: str):
    assert all(isinstance(verdict, str) for verdict in parse_verdicts(text).values())


def test_a_recorded_manifest_reads_what_is_asked_for_and_that_once():
    asked: list[str] = []
    text = render_listing([entry("foo")])

    def read(digest: str) -> str:
        asked.append(digest)
        return text

    recorded = manifests.RecordedManifest({"foo": "d", "twin": "d", "bar": "e"}, read, {})
    assert recorded["foo"] == recorded["twin"] == (entry("foo"),)
    assert asked == ["d"]
    assert project_digests(recorded) == {"foo": "d", "twin": "d", "bar": "e"}
