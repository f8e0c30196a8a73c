"""What differs between bases: the page of the report, and the terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from builder.judge.parity.model import Parity, Row, Topic, Weight
from builder.report.documents.parity import (
    TOPIC_WORDS,
    ParityDocument,
    make_parity_document,
    render_install,
)
from builder.report.history import History
from builder.report.site import site
from builder.report.terminal.parity import print_parity
from tests.unit.documents import HOSTILE, document
from tests.unit.report.pages import render_pages

BASES = ("debian-12", "ubuntu-24.04")
BREAKING = Row(
    topic=Topic.IMPORT,
    name="foo",
    values={"debian-12": "imports", "ubuntu-24.04": f"fails {HOSTILE}"},
    weight=Weight.BREAKS,
    abis=("cp314t",),
)
ALIKE = Row(
    topic=Topic.GRAFTED,
    name="bar",
    values=dict.fromkeys(BASES, "libbar.so.1"),
    weight=Weight.SAME,
)


def made(*rows: Row, install: tuple[str, ...] = ("libffi8",)) -> ParityDocument:
    parity = Parity(
        application="shop",
        bases=BASES,
        abis=("cp314t",),
        rows=rows,
        install=dict.fromkeys(BASES, install),
        not_recorded=("what nobody wrote down",),
    )
    return make_parity_document([parity], "2026-11-21T02:00:00Z")


def pages(parity: ParityDocument | None) -> dict[str, str]:
    return render_pages(parity=parity)


def test_the_page_begins_with_what_matters_and_folds_what_is_alike():
    page = pages(made(BREAKING, ALIKE))["parity.html"]
    sentence, line, table, folded = (
        page.index("foo on cp314t: imports on debian-12"),
        page.index("apt-get install --yes --no-install-recommends libffi8"),
        page.index("All that differs"),
        page.index("<details><summary>Alike, as far as recorded: 1"),
    )
    assert sentence < line < table < folded < page.index("libbar.so.1")
    assert "what nobody wrote down" in page
    assert "<script>alert" not in page


def test_the_page_says_when_nothing_differs():
    page = pages(made(ALIKE, install=()))["parity.html"]
    assert "No difference that matters was recorded." in page
    assert "For a Dockerfile" not in page
    assert "All that differs" not in page


def test_without_a_comparison_there_is_no_page_and_an_old_one_goes(tmp_path: Path):
    assert "parity.html" not in pages(None)
    assert 'href="parity.html"' not in pages(None)["index.html"]
    assert 'href="parity.html"' in pages(made(ALIKE))["index.html"]

    data = site.SiteData(
        document=document({}), history=History(runs={"r1": {}}), run="r1", runs={}, logs={}
    )
    (tmp_path / "parity.html").write_text("old")
    site.write_site(data, tmp_path)
    assert not (tmp_path / "parity.html").exists()


def test_the_terminal_has_the_sentences_the_table_and_the_lines():
    console = Console(file=io.StringIO(), width=200)
    print_parity(console, made(BREAKING, ALIKE))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "shop on debian-12, ubuntu-24.04" in printed
    assert "- foo on cp314t: imports on debian-12" in printed
    assert "breaks  import  foo   cp314t  imports" in printed
    assert "1 more are alike" in printed
    assert f"# ubuntu-24.04\n  {render_install(['libffi8'])}" in printed
    assert "not recorded: what nobody wrote down" in printed


def test_every_topic_has_a_word():
    assert set(TOPIC_WORDS) == set(Topic)
