"""The form of Slack: escaped, within its length, and no text of a package mentions anybody."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from builder.report.notify.deliver import Outcome
from builder.report.notify.slack import MAX_TEXT, escape, render_text
from tests.unit.report.notify.nights import NASTY, night, regression, target, tell
from tests.unit.report.notify.web_server import Reply, serve_list

SLACK = 'kind = "slack"\nurl-env = "CHAT_URL"'


def outside_code(text: str) -> str:
    """Return what of a message is no code: there marks, mentions and links count."""
    return re.sub(r"`[^`\n]*`", "", text)


def test_a_text_arrives():
    with serve_list(Reply()) as server:
        delivery = tell(target(SLACK), night(regression()), CHAT_URL=f"{server.url}/services/T/B/x")
    assert delivery.outcome is Outcome.SENT
    assert json.loads(server.asked[0].content) == {
        "text": "*wheelfarm* `matrix.toml`: 1 verdict got worse\n"
        "• `foo 1.0 on cp314t`: compatible → *racy*\n"
        "`it crashes`\n"
        "https://farm.invalid/report/"
    }


def test_what_a_package_says_is_code_and_escaped():
    text = render_text(night(regression(reason=NASTY, name="<@U123>")).alert)
    assert "&lt;!channel&gt;" in text
    assert "&amp;amp;" in text
    assert not re.search(r"[<>]", text)
    assert not re.search(r"@|\[|evil", outside_code(text))


def test_more_than_fits_is_counted():
    parts = [regression(name=f"package-{number}", reason="&" * 300) for number in range(50)]
    text = render_text(night(*parts).alert)
    shown = text.count("• ")
    assert 0 < shown < 50
    assert f"… and {50 - shown} more\nhttps://farm.invalid/report/" in text
    assert len(text) <= MAX_TEXT


@given(st.lists(st.tuples(st.text(max_size=50), st.text(max_size=700)), min_size=1, max_size=30))
def test_no_text_breaks_out_or_is_too_long(texts: list[tuple[str, str]]):
    parts = [regression(name=name, reason=reason) for name, reason in texts]
    text = render_text(night(*parts, verdicts={}).alert)
    assert len(text) <= MAX_TEXT
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text)
    frame = outside_code(text).replace("https://farm.invalid/report/", "")
    assert re.fullmatch(r"(?:[*\w\s:•→,…-]|\d)*", frame), "all else is code"


@given(st.text())
def test_escaping_can_be_undone(text: str):
    undone = escape(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert undone == text
