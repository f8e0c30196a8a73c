"""The life of an issue: opened, commented on, changed, closed; and what a repository refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.report.documents.alert import RegressionPart
from builder.report.notify import issue_text
from builder.report.notify.alert import Night, Standing, make_test_alert
from builder.report.notify.deliver import Outcome
from builder.report.notify.issue_text import Entry, IssueState
from builder.verdicts import ApplicationVerdict, Verdict
from tests.unit.report.notify.fake_github import TOKEN, Github, fake_github, refuse, reply
from tests.unit.report.notify.nights import (
    NASTY,
    Pauses,
    night,
    regression,
    target,
    tell,
    tell_well,
)
from tests.unit.report.notify.web_server import End, Reply

MARKER = issue_text.make_marker("t", "matrix.toml")


@pytest.fixture
def github() -> Iterator[Github]:
    with fake_github() as served:
        yield served


def issue_target(github: Github, more: str = ""):
    return target(
        'kind = "github-issue"\nrepository = "o/r"\ntoken-env = "T"\n'
        f'api = "{github.server.url}"\n{more}'
    )


def tell_github(github: Github, told: Night, more: str = "") -> str:
    return tell_well(issue_target(github, more), told, T=TOKEN)


def undetermined(name: str = "foo", before: Verdict | None = Verdict.COMPATIBLE) -> RegressionPart:
    return regression(name=name, kind="undetermined", before=before, after=Verdict.UNDETERMINED)


def test_one_issue_is_opened_commented_on_changed_and_closed(github: Github):
    assert tell_github(github, night(regression("foo"))) == "opened issue 1"
    (issue,) = github.open_issues
    assert issue["title"] == "wheelfarm: 1 verdict is worse than before (matrix.toml)"
    assert "| foo on cp314t | compatible | racy | why |" in issue["body"]
    assert "[Report](<https://farm.invalid/report/>)" in issue["body"]
    assert [label["name"] for label in issue["labels"]] == ["wheelfarm"]
    assert 1 not in github.comments, "the issue itself says it"

    both = {"foo": "racy", "bar": "thread-unsafe"}
    second = night(regression("bar", after=Verdict.THREAD_UNSAFE), verdicts=both)
    assert tell_github(github, second) == "commented on issue 1"
    (comment,) = github.comments[1]
    assert "| bar 1.0 on cp314t | compatible | thread-unsafe | it crashes |" in comment
    assert "foo" not in comment
    assert issue["title"].startswith("wheelfarm: 2 verdicts are worse")

    assert tell_github(github, night(verdicts={"foo": "compatible", "bar": "racy"})) == (
        "changed issue 1"
    )
    assert "| foo" not in issue["body"]
    assert "| bar on cp314t | compatible | racy |" in issue["body"]
    assert len(github.comments[1]) == 1

    assert tell_github(github, night(verdicts={"foo": "compatible"})) == "closed issue 1"
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert github.comments[1][-1] == issue_text.CLOSING

    assert tell_github(github, night(regression("foo"))) == "opened issue 2"


def test_a_quiet_night_asks_and_changes_nothing(github: Github):
    assert tell_github(github, night(verdicts={"foo": "compatible"})) == ""
    tell_github(github, night(regression("foo")))
    writes = github.writes
    github.issues[1]["body"] = github.issues[1]["body"].replace("\n", "\r\n")
    assert tell_github(github, night(verdicts={"foo": "racy"})) == ""
    assert github.writes == writes


def test_the_same_alert_twice_is_no_news(github: Github):
    told = night(regression("foo"))
    tell_github(github, told)
    assert tell_github(github, told) == ""
    assert github.comments == {}


def test_who_closes_the_issue_accepts_the_verdicts(github: Github):
    tell_github(github, night(regression("foo")))
    github.issues[1]["state"] = "closed"
    assert tell_github(github, night(verdicts={"foo": "racy"})) == ""
    assert len(github.issues) == 1


def test_other_issues_and_pull_requests_are_left_alone(github: Github):
    body = issue_text.render_body(IssueState(), night(), issue_text.make_marker("other", "m"))
    github.add_issue("of another target", body, ["wheelfarm"])
    mine = issue_text.render_body(IssueState(), night(), MARKER)
    github.add_issue("a pull request", mine, ["wheelfarm"], pull_request={"url": "x"})
    github.add_issue("without the label", mine, [])
    github.add_issue("without a text", None, ["wheelfarm"])
    assert tell_github(github, night(regression("foo"))) == "opened issue 5"
    assert {one["title"] for one in github.open_issues} >= {"of another target", "without a text"}


def test_the_issue_is_found_behind_a_page_of_others(github: Github):
    for number in range(100):
        github.add_issue(f"other {number}", "text", ["wheelfarm"])
    tell_github(github, night(regression("foo")))
    assert tell_github(github, night(verdicts={"foo": "compatible"})) == "closed issue 101"


def test_a_label_that_is_dropped_is_said(github: Github):
    github.may_label = False
    delivery = tell(issue_target(github), night(regression("foo")), T=TOKEN)
    assert "issue 1 was opened without the label 'wheelfarm'" in delivery.detail
    assert delivery.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("token", "repository", "expected"),
    [
        ("ghp_other_token", "o/r", "status 401"),
        (TOKEN, "o/none", "status 404"),
    ],
)
def test_a_refusal_names_no_token(github: Github, token: str, repository: str, expected: str):
    one = target(
        f'kind = "github-issue"\nrepository = "{repository}"\ntoken-env = "T"\napi = "{github.server.url}"'
    )
    delivery = tell(one, night(regression("foo")), T=token)
    assert expected in delivery.detail
    assert token not in delivery.detail


def test_no_issue_is_made_twice_where_an_answer_was_lost(github: Github):
    github.trouble["POST", "/issues"] = [End]
    delivery = tell(issue_target(github), night(regression("foo")), T=TOKEN)
    assert "it may have been taken all the same" in delivery.detail
    assert github.writes == ["POST /issues"]


@pytest.mark.parametrize(
    "busy",
    [
        Reply(429, b"", {"Retry-After": "2"}),
        Reply(403, b'{"message": "secondary rate limit"}', {"Retry-After": "2"}),
    ],
    ids=["429", "403"],
)
def test_a_limit_is_waited_for(github: Github, busy: Reply):
    github.trouble["POST", "/issues"] = [busy]
    pauses = Pauses()
    delivery = tell(issue_target(github), night(regression("foo")), pauses, T=TOKEN)
    assert delivery.detail == "opened issue 1"
    assert pauses.seconds == [2.0]


@pytest.mark.parametrize(
    "answer", [Reply(200, b"<html>"), reply(200, {"message": "hello"})], ids=["html", "object"]
)
def test_a_server_that_is_not_the_api_is_said(github: Github, answer: Reply):
    github.trouble["GET", "/issues"] = [answer]
    delivery = tell(issue_target(github), night(regression("foo")), T=TOKEN)
    assert "none of GitHub's API; check `api`" in delivery.detail


def test_a_repository_that_moved_is_said(github: Github):
    moved = Reply(301, b"", {"Location": "https://api.invalid/repositories/1/issues"})
    github.trouble["GET", "/issues"] = [moved]
    delivery = tell(issue_target(github), night(regression("foo")), T=TOKEN)
    assert "a redirect to https://api.invalid, which is not followed" in delivery.detail


def test_a_test_message_opens_and_closes_an_issue(github: Github):
    told = Night(alert=make_test_alert("matrix.toml", ""))
    assert tell_github(github, told) == "opened and closed issue 1"
    assert github.open_issues == []
    github.trouble["PATCH", "/2"] = [
        refuse(403, "Resource not accessible by personal access token")
    ]
    delivery = tell(issue_target(github), told, T=TOKEN)
    assert "status 403" in delivery.detail


def test_hostile_text_neither_mentions_nor_links_nor_ends_the_table(github: Github):
    told = night(regression("foo", reason=NASTY))
    tell_github(github, told)
    tell_github(github, night(regression("bar", reason=NASTY), verdicts={"bar": "racy"}))
    for text in (github.issues[1]["body"], *github.comments[1]):
        assert "<script" not in text
        assert "@everyone" not in text
        assert "](http" not in text
        assert not any(line.startswith("Bcc") for line in text.splitlines())


def test_thousands_of_verdicts_fit_and_such_an_issue_is_closed_by_hand(github: Github):
    parts = [regression(f"package-{number}", reason="<" * 900) for number in range(2000)]
    assert tell_github(github, night(*parts)) == "opened issue 1"
    (issue,) = github.open_issues
    assert issue["title"].startswith("wheelfarm: more than 200 verdicts")
    again = night(*[regression(f"other-{number}", reason="<" * 900) for number in range(2000)])
    assert tell_github(github, again) == "commented on issue 1"
    assert "… and " in github.comments[1][0]
    assert tell_github(github, night(verdicts={"foo": "compatible"})) == "changed issue 1"
    assert issue["state"] == "open"
    assert "closed by hand" in issue["body"]


def test_an_issue_whose_record_was_changed_is_left_to_a_person(github: Github):
    github.add_issue("t", f'<!-- {MARKER} {{"entries": 3}} -->', ["wheelfarm"])
    tell_github(github, night(verdicts={"foo": "compatible"}))
    assert len(github.open_issues) == 1


@pytest.mark.parametrize(
    ("part", "now", "left"),
    [
        (regression(before=Verdict.UNPROVEN), "unproven", 0),
        (regression(before=Verdict.UNPROVEN), "compatible", 0),
        (regression(before=Verdict.UNPROVEN), "gil-required", 1),
        (regression(before=Verdict.UNPROVEN), None, 0),
        (undetermined(before=Verdict.RACY), "undetermined", 1),
        (undetermined(before=Verdict.RACY), "racy", 0),
        (undetermined(before=None), "build-failure", 0),
        (undetermined(before=None), "undetermined", 1),
    ],
)
def test_what_is_as_good_as_before_again_is_left_out(
    part: RegressionPart, now: str | None, left: int
):
    first = issue_text.advance(IssueState(), night(part))
    assert [entry.name for entry in first.entries] == ["foo"]
    later = issue_text.advance(first, night(verdicts={} if now is None else {"foo": now}))
    assert len(later.entries) == left


def test_what_gets_worse_twice_has_to_get_as_good_as_at_first():
    first = issue_text.advance(IssueState(), night(regression(after=Verdict.RACY)))
    worse = regression(before=Verdict.RACY, after=Verdict.BUILD_FAILURE)
    second = issue_text.advance(first, night(worse))
    assert second.entries[0].before is Verdict.COMPATIBLE
    assert not issue_text.advance(second, night(verdicts={"foo": "racy"})).is_done


def test_applications_are_compared_by_their_own_verdicts():
    part = regression(
        "shop", kind="application", base="debian-12", version="",
        before=ApplicationVerdict.READY, after=ApplicationVerdict.BLOCKED,
    )  # fmt: skip

    def standing(verdict: ApplicationVerdict) -> Night:
        places = {part.place: Standing(verdict=verdict, reason="r")}
        return Night(alert=night().alert, standings=places)

    blocked = Night(
        alert=night(part, verdicts={}).alert,
        standings=standing(ApplicationVerdict.BLOCKED).standings,
    )
    state = issue_text.advance(IssueState(), blocked)
    body = issue_text.render_body(state, blocked, MARKER)
    assert "| shop on cp314t, debian-12 | ready | blocked | r |" in body
    kept = issue_text.parse_state(body, MARKER)
    assert kept is not None
    assert not issue_text.advance(kept, standing(ApplicationVerdict.READY_WITH_RISKS)).is_done
    assert issue_text.advance(kept, standing(ApplicationVerdict.READY)).is_done


@given(st.lists(st.text(max_size=40), max_size=20, unique=True))
def test_an_issue_remembers_whatever_names_there_are(names: list[str]):
    entries = [
        Entry(name=name, abi="cp314t", base="", before=Verdict.COMPATIBLE)
        for name in names
        if name.isprintable()
    ]
    state = IssueState(last="1", entries=tuple(entries))
    standings = {
        entry.place: Standing(verdict=Verdict.RACY, reason=entry.name) for entry in entries
    }
    body = issue_text.render_body(state, Night(alert=night().alert, standings=standings), MARKER)
    assert issue_text.parse_state(body, MARKER) == state
    assert issue_text.parse_state(body, issue_text.make_marker("u", "matrix.toml")) is None
    hidden = body[body.rindex("<!-- ") + 5 :].removesuffix(" -->").removeprefix(MARKER)
    assert not set(hidden) & set("<>@#&")
    assert json.loads(hidden)["last"] == "1"
