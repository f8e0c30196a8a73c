"""Who is told of what, that one failure stops no other target, and that secrets are hidden however they are written."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import matrix
from builder.errors import NoNightError
from builder.report.documents.alert import RegressionPart
from builder.report.formats import night as nights
from builder.report.notify.alert import Night, summarize
from builder.report.notify.deliver import Outcome, deliver, show
from builder.report.notify.http_door import Patience
from builder.report.notify.last_night import read_night, record_night
from builder.report.notify.secrets import Secrets
from builder.verdicts import ApplicationVerdict, Verdict
from tests.unit.documents import abi, document
from tests.unit.report.notify.nights import Pauses, night, regression, target, tell
from tests.unit.report.notify.web_server import Reply, serve_list

WORSE = regression("worse")
UNDETERMINED = regression("unknown", kind="undetermined", after=Verdict.UNDETERMINED)
APPLICATION = regression(
    "shop", kind="application", version="", base="debian-12",
    before=ApplicationVerdict.READY, after=ApplicationVerdict.BLOCKED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("triggers", "names"),
    [
        ('["worse"]', {"worse"}),
        ('["undetermined"]', {"unknown"}),
        ('["application"]', {"shop"}),
        ('["worse", "application"]', {"worse", "shop"}),
    ],
)
def test_a_target_is_told_what_it_asks_for(triggers: str, names: set[str]):
    one = target(f'kind = "webhook"\nurl = "https://hook.invalid/"\non = {triggers}')
    (delivery,) = show({"t": one}, night(WORSE, UNDETERMINED, APPLICATION))
    for name in ("worse", "unknown", "shop"):
        assert (f'"name": "{name}"' in delivery.content) == (name in names)


def test_nothing_that_a_target_asks_for_is_no_message():
    with serve_list(Reply()) as server:
        one = target(f'kind = "webhook"\nurl = "{server.url}/"\non = ["application"]')
        assert tell(one, night(WORSE)).outcome is Outcome.NOTHING
        assert tell(one, night()).outcome is Outcome.NOTHING
    assert server.asked == []


def test_each_target_is_tried_whatever_happens_to_the_others():
    with serve_list(Reply(400)) as bad, serve_list(Reply()) as good:
        text = (
            '[packages.x]\n[notify.unset]\nkind = "slack"\nurl-env = "NOT_SET"\n'
            f'[notify.bad]\nkind = "slack"\nurl = "{bad.url}/"\n'
            f'[notify.good]\nkind = "slack"\nurl = "{good.url}/"\n'
        )
        targets = matrix.parse(tomllib.loads(text), Path("matrix.toml")).notify
        told = deliver(targets, night(WORSE), {}, Patience(pause=Pauses()))
    assert [one.outcome for one in told] == [Outcome.FAILED, Outcome.FAILED, Outcome.SENT]
    assert "NOT_SET is not set, which `url-env` names" in told[0].detail


def test_a_bug_takes_no_night_and_its_text_is_not_quoted():
    told = night(WORSE)
    broken = Night(alert=told.alert.model_copy(update={"regressions": ["hush-hush"]}))
    delivery = tell(target('kind = "slack"\nurl = "https://hook.invalid/"'), broken)
    assert delivery.outcome is Outcome.FAILED
    assert "AttributeError: this is a bug in wheelfarm" in delivery.detail
    assert "hush" not in delivery.detail


def test_the_summary_of_one_says_it_and_that_of_many_counts():
    assert summarize([WORSE]) == "worse 1.0 on cp314t: racy, was compatible"
    assert summarize([APPLICATION]) == "shop on cp314t, debian-12: blocked, was ready"
    assert summarize([WORSE, WORSE, UNDETERMINED, APPLICATION]) == (
        "2 verdicts of packages got worse, 1 verdict of packages became undetermined, "
        "1 verdict of applications got worse"
    )


def test_the_night_is_told_as_the_exit_code_sees_it(tmp_path: Path):
    before = document({name: {"cp314": abi(verdict)} for name, verdict in [
        ("better", "racy"), ("same", "racy"), ("bad", "compatible"), ("lost", "racy"), ("gone", "compatible"),
    ]})  # fmt: skip
    after = document({name: {"cp314": abi(verdict, "why")} for name, verdict in [
        ("better", "compatible"), ("same", "racy"), ("bad", "racy"), ("lost", "undetermined"),
        ("new", "build-failure"), ("new-unknown", "undetermined"),
    ]})  # fmt: skip
    diff = nights.compare_documents(before, after)
    told = record_night(diff, after, tmp_path / "matrix.toml", tmp_path, "")
    seen = [(part.name, part.kind, part.before) for part in told.alert.regressions]
    assert seen == [
        ("bad", "worse", Verdict.COMPATIBLE),
        ("new-unknown", "undetermined", None),
        ("lost", "undetermined", Verdict.RACY),
    ]

    with pytest.raises(NoNightError, match=r"verdicts\.json"):
        read_night(tmp_path, "")
    (tmp_path / "verdicts.json").write_text(after.model_dump_json())
    again = read_night(tmp_path, "https://r.invalid/")
    assert again.alert == told.alert.model_copy(update={"report_url": "https://r.invalid/"})
    assert again.standings == told.standings

    rerun = record_night(nights.compare_documents(after, after), after, tmp_path, tmp_path, "")
    assert rerun.alert.regressions == []


def test_verdicts_of_applications_stay_what_they_are():
    part = RegressionPart.model_validate_json(APPLICATION.model_dump_json())
    assert (part.before, part.after) == (APPLICATION.before, APPLICATION.after)
    unknown = APPLICATION.model_copy(update={"after": ApplicationVerdict.UNDETERMINED})
    assert RegressionPart.model_validate_json(unknown.model_dump_json()).is_undetermined


@given(st.text(st.characters(codec="utf-8"), min_size=8), st.text(), st.text())
def test_a_secret_is_hidden_however_it_is_written(secret: str, before: str, after: str):
    secrets = Secrets({"token-env": secret})
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
        assert secret not in secrets.hide(f"{before}{form}{after}").replace("***", "")
        assert form not in secrets.hide(form)
    assert repr(secrets) == "Secrets(token-env)"


@pytest.mark.parametrize(
    "text",
    [
        "https://me:pass-word@hook.invalid/services/T0123456/B0123456/abcdefgh?key=ijklmnop",
        "no such hook: T0123456/B0123456/abcdefgh",
        "POST /services/T0123456/B0123456/abcdefgh?key=ijklmnop",
        "me:pass-word",
        "ijklmnop",
    ],
)
def test_no_part_of_a_secret_address_is_shown(text: str):
    url = "https://me:pass-word@hook.invalid/services/T0123456/B0123456/abcdefgh?key=ijklmnop"
    hidden = Secrets({"url-env": url}).hide(text)
    for part in ("pass-word", "T0123456", "abcdefgh", "ijklmnop"):
        assert part not in hidden
