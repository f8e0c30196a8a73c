"""What people read of how safe a package is under threads, and documents that were written before that was said."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from builder.farm.run import exit_code
from builder.report.documents import verdicts_json
from builder.report.documents.packages import AbiPart
from builder.report.documents.thread_safety import UpstreamPart
from builder.report.formats import junit, markdown, night
from builder.report.site import safety
from builder.report.terminal import story
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.documents import (
    SAFETY,
    SENTENCE,
    UPSTREAM,
    abi,
    document,
    fault_abi,
    finding,
)
from tests.unit.report.test_report import write


def distinct_abi(upstream: UpstreamPart | None = None) -> AbiPart:
    said = SAFETY.model_copy(update={"upstream": upstream})
    return abi("distinct", SENTENCE, finding("WF601")).model_copy(update={"thread_safety": said})


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
    assert "its classifier is <code>3 - Stable</code>: supported in production." in page
    assert "<p>Boxes are not thread-safe.</p><footer" in page
    assert "README.md, line 7<" in page
    assert "foo/core.py, line 12 (Box)" in page
    assert "</strong> foo.Box broke here." in page
    assert "<script>alert" not in page


def test_the_page_goes_from_what_it_means_to_what_maintainers_need(store: Store):
    page = (write(store, {"foo": {"cp314t": fault_abi()}}) / "packages/foo.html").read_text()
    in_order = (
        f"Threads: {SENTENCE}",
        "What threads may share",
        "nothing broke: foo.hash.",
        "Not tried: foo.open and 11 more.",
        "What the project says itself",
        "What breaks under threads",
        "If threads share an object of <code>Box</code> that one of them changes, the process crashes.",
        "What to do:</strong> Give each thread its own <code>Box</code>.",
        "one object that threads share, and that one of them changes",
        "<dd><code>s.put(1)</code> of <code>foo.Box()</code></dd>",
        "as it was found 3 of 3 times, with nothing shared 0 of 2 times",
        "<dt>The project says</dt>",
        "A short program",
        "For its maintainers: <code>WF601</code>",
        "SIGSEGV in Box_put (box.c:7)",
        "wheelfarm replay 0123456789ab --version VERSION",
        "Other findings",
        "WF504",
        "How much was tried",
        "Wheels",
    )
    places = [page.find(text) for text in in_order]
    assert -1 not in places
    assert places == sorted(places)
    # What a card tells for people is not told in terms of C before it, and nothing of a package is markup.
    assert page.count("SIGSEGV in Box_put (box.c:7)") == 1
    assert "<script>alert" not in page


def test_only_sentences_that_name_the_fault_are_on_its_card(store: Store):
    page = (write(store, {"foo": {"cp314t": fault_abi()}}) / "packages/foo.html").read_text()
    card = page[page.index("What to do:</strong>") :].partition("</article>")[0]
    assert "foo/core.py, line 12 (Box)" in card
    assert "README.md" not in card

    part = fault_abi()
    assert part.thread_safety is not None
    (other,) = (one for one in part.findings if one.headline)
    renamed = other.model_copy(update={"where": "foo._core.Boxes.put"})
    assert [quote.file for quote in safety.find_quotes(renamed, part.thread_safety)] == [
        "README.md"
    ]


def test_many_names_are_counted_by_type_and_folded(store: Store):
    names = [f"foo._core.Box.f{number}" for number in range(9)] + ["foo.open", "foo.Lid"]
    many = SAFETY.model_copy(update={"not_tried": names, "not_tried_count": 120})
    part = fault_abi().model_copy(update={"thread_safety": many})
    page = (write(store, {"foo": {"cp314t": part}}) / "packages/foo.html").read_text()
    assert "<summary>Not tried: Box (9), Lid, 1 function, and more.</summary>" in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a `b` c", "a <code>b</code> c"), ("a ` c", "a ` c"), ("`<b>`", "<code>&lt;b&gt;</code>")],
)
def test_backticks_are_code_and_nothing_else_is_markup(store: Store, text: str, expected: str):
    part = abi("compatible", text)
    page = (write(store, {"foo": {"cp314t": part}}) / "packages/foo.html").read_text()
    assert f'<p class="reason">{expected}</p>' in page


def test_show_tells_a_fault_for_people_first():
    printed = io.StringIO()
    package = document({"foo": {"cp314t": fault_abi()}}).packages[0]
    story.render(
        story.Story(name="foo", package=package, jobs=()), Console(file=printed, width=300)
    )
    text = printed.getvalue()
    assert "WF601   If threads share an object of `Box` that one of them changes" in text
    assert text.index("Give each thread its own") < text.index(
        "crash under threads: SIGSEGV in Box_put (box.c:7) ["
    )


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

    read = verdicts_json.read(store.wheelhouse)
    assert read is not None
    ((_, _, verdict),) = read.iter_verdicts()
    assert (verdict.verdict, verdict.thread_safety) == (Verdict.RACY, None)
    assert "racy" in (write(store, {"foo": {"cp314t": verdict}}) / "packages/foo.html").read_text()
