"""What people read of how safe a package is under threads, and documents that were written before that was said."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from builder.farm.run import exit_code
from builder.report import document as documents
from builder.report.document import (
    AbiPart,
    CallablePart,
    QuotePart,
    ThreadSafetyPart,
    UpstreamPart,
)
from builder.report.formats import junit, markdown, night
from builder.report.terminal import story
from builder.store.store import Store
from builder.verdicts import Verdict
from builder.verdicts.levels import Consequence, Level, Need
from tests.unit.documents import HOSTILE, abi, document, finding
from tests.unit.report.test_report import write

SENTENCE = "safe as long as no two threads use the same object: if threads share an object of foo.Box, it crashes"
SAFETY = ThreadSafetyPart(
    level=Level.DISTINCT,
    sentence=SENTENCE,
    callables=[
        CallablePart(
            name="foo.Box.put",
            level=Level.DISTINCT,
            needs=Need.OBJECT,
            consequence=Consequence.CRASH,
            findings=["0123456789ab"],
        ),
        CallablePart(
            name="foo.hash", level=Level.SHARED, needs=None, consequence=None, findings=[]
        ),
    ],
    not_tried=["foo.open"],
    not_tried_count=12,
)

UPSTREAM = UpstreamPart(
    classifier="3 - Stable",
    meaning="supported in production",
    quotes=[
        QuotePart(file="README.md", line=7, text="Boxes are not thread-safe."),
        QuotePart(file="foo/core.py", line=12, text=HOSTILE, about="Box"),
    ],
    disagreement="foo.Box broke here",
)


def distinct_abi(upstream: UpstreamPart | None = None) -> AbiPart:
    safety = SAFETY.model_copy(update={"upstream": upstream})
    return abi("distinct", SENTENCE, finding("WF601")).model_copy(update={"thread_safety": safety})


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def test_a_page_says_what_to_share_what_not_and_what_was_not_tried(store: Store):
    page = (write(store, {"foo": {"cp314t": distinct_abi()}}) / "packages/foo.html").read_text()
    assert page.count(SENTENCE) == 1  # the reason is the sentence
    assert '<b class="v distinct">distinct</b>' in page
    row = page[page.index('<th scope="row"><code>foo.Box.put') :].partition("</tr>")[0]
    for text in ("no: one for each thread", "an object", "crash", 'href="#0123456789ab"'):
        assert text in row
    assert "nothing broke: foo.hash." in page
    assert "Not tried: foo.open and 11 more." in page
    assert 'id="0123456789ab"' in page


def test_the_sentence_comes_first_where_the_reason_is_another(store: Store):
    unsafe = abi("thread-unsafe", "crash under threads: SIGSEGV when …")
    part = unsafe.model_copy(update={"thread_safety": SAFETY})
    page = (write(store, {"foo": {"cp314t": part}}) / "packages/foo.html").read_text()
    assert page.index(SENTENCE) < page.index("crash under threads: SIGSEGV")


def test_show_says_it_too():
    printed = io.StringIO()
    package = document({"foo": {"cp314t": distinct_abi()}}).packages[0]
    story.render(
        story.Story(name="foo", package=package, jobs=()), Console(file=printed, width=300)
    )
    assert f"threads distinct: {SENTENCE}" in printed.getvalue()
    assert "foo.Box.put: distinct; threads share an object: crash" in printed.getvalue()


def test_a_page_quotes_the_project_beside_what_was_measured(store: Store):
    silent = (write(store, {"foo": {"cp314t": distinct_abi()}}) / "packages/foo.html").read_text()
    assert "What the project says itself" not in silent

    judged = {"foo": {"cp314t": distinct_abi(UPSTREAM)}}
    page = (write(store, judged) / "packages/foo.html").read_text()
    assert "its classifier is `3 - Stable`: supported in production." in page
    assert "<p>Boxes are not thread-safe.</p><footer" in page
    assert "README.md, line 7<" in page
    assert "foo/core.py, line 12 (Box)" in page
    assert "</strong> foo.Box broke here." in page
    assert "<script>alert" not in page


def test_show_quotes_the_project_too():
    printed = io.StringIO()
    package = document({"foo": {"cp314t": distinct_abi(UPSTREAM)}}).packages[0]
    story.render(
        story.Story(name="foo", package=package, jobs=()), Console(file=printed, width=300)
    )
    lines = [line.strip() for line in printed.getvalue().splitlines()]
    assert "says    its classifier is `3 - Stable`: supported in production" in lines
    assert "“Boxes are not thread-safe.” README.md, line 7" in lines
    assert "but foo.Box broke here" in lines
    assert "\0" not in printed.getvalue()


def test_distinct_is_no_fault_and_is_shown():
    shown = document({"foo": {"cp314t": distinct_abi()}})
    assert "<failure" not in junit.render(shown)
    assert "| foo 1.0 | cp314t | distinct | " in markdown.render(shown, ())
    assert exit_code([Verdict.DISTINCT]) == 0


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [("racy", "distinct", 0), ("thread-unsafe", "distinct", 0), ("distinct", "compatible", 0),
     ("compatible", "distinct", 1), ("distinct", "racy", 1)],
)  # fmt: skip
def test_a_night_in_which_a_verdict_becomes_distinct(before: str, after: str, code: int):
    diff = night.compare_documents(
        document({"foo": {"cp314t": abi(before)}}), document({"foo": {"cp314t": abi(after)}})
    )
    assert night.exit_code(diff) == code


def test_a_document_of_an_older_farm_is_read(store: Store):
    old = json.loads(
        document({"foo": {"cp314t": abi("racy", "so", finding("WF605"))}}).model_dump_json()
    )
    part = old["packages"][0]["abis"]["cp314t"]
    del part["thread_safety"], part["findings"][0]["needs"]
    (store.wheelhouse / "verdicts.json").write_text(json.dumps(old))

    read = documents.read(store.wheelhouse)
    assert read is not None
    ((_, _, verdict),) = read.iter_verdicts()
    assert (verdict.verdict, verdict.thread_safety) == (Verdict.RACY, None)
    assert "racy" in (write(store, {"foo": {"cp314t": verdict}}) / "packages/foo.html").read_text()
