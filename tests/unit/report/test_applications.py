"""Applications in the reports: the page, the Markdown, and what changed overnight."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from builder.errors import ExitCode
from builder.report.documents.applications import ApplicationPart, BlockerPart, RiskPart
from builder.report.documents.verdicts_json import Document
from builder.report.formats import markdown, night
from builder.report.history import History
from builder.report.site import site
from builder.report.site.obstacles import find_obstacles
from builder.report.terminal.applications import print_details
from builder.verdicts import ApplicationVerdict
from tests.unit.documents import HOSTILE, abi, document


def part(
    name: str, verdict: ApplicationVerdict, *packages: str, abi_name: str = "cp314t"
) -> ApplicationPart:
    """Return the verdict of an application that some packages block."""
    blockers = [
        BlockerPart(package=package, version="1.0", what=f"{package} is racy", ways_out=["wait"])
        for package in packages
    ]
    return ApplicationPart(
        name=name,
        abi=abi_name,
        base="debian-12",
        verdict=verdict,
        reason=f"seen {HOSTILE}",
        way_out="wait" if packages else "",
        packages=3,
        blockers=blockers,
        risks=[RiskPart(package="bar", what="unproven")],
        log="logs/application/x.log",
    )


def with_applications(*parts: ApplicationPart) -> Document:
    made = document({"foo": {"cp314t": abi()}})
    return made.model_copy(update={"applications": list(parts)})


BLOCKED, READY = ApplicationVerdict.BLOCKED, ApplicationVerdict.READY


def test_what_blocks_most_comes_first():
    obstacles = find_obstacles(
        [part("shop", BLOCKED, "foo", "bar"), part("desk", BLOCKED, "bar"), part("mill", READY)]
    )
    assert [obstacle.title for obstacle in obstacles] == ["bar 1.0", "foo 1.0"]
    assert obstacles[0].places == ["shop on cp314t, debian-12", "desk on cp314t, debian-12"]
    assert (obstacles[0].what, obstacles[0].ways_out) == (["bar is racy"], ["wait"])


def test_the_page_has_every_answer_and_escapes_what_packages_say():
    data = site.SiteData(
        document=with_applications(part("shop", BLOCKED, "foo")),
        history=History(runs={"r1": {}}),
        run="r1",
        runs={},
        logs={},
    )
    pages = dict(site.render_pages(data))
    page = pages["applications.html"]
    assert 'class="v blocked"' in page
    assert "What blocks the move" in page
    assert "foo is racy" in page
    assert "<script>alert" not in page
    assert 'href="applications.html#shop-cp314t-debian-12"' in pages["index.html"]


def test_without_applications_there_is_no_page():
    data = site.SiteData(
        document=with_applications(), history=History(runs={"r1": {}}), run="r1", runs={}, logs={}
    )
    assert "applications.html" not in dict(site.render_pages(data))


def test_the_summary_lists_them_with_the_way_out():
    text = markdown.render(with_applications(part("shop", BLOCKED, "foo")), ())
    assert "## Applications" in text
    assert "| shop | cp314t, debian-12 | blocked |" in text
    assert "Way out: wait" in text


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (READY, BLOCKED, ExitCode.FAULTS),
        (READY, ApplicationVerdict.READY_WITH_RISKS, ExitCode.FAULTS),
        (READY, ApplicationVerdict.UNDETERMINED, ExitCode.UNDETERMINED),
        (BLOCKED, READY, ExitCode.ADMISSIBLE),
        (READY, READY, ExitCode.ADMISSIBLE),
    ],
)
def test_a_night_in_which_an_answer_got_worse_is_no_good_one(
    before: ApplicationVerdict, after: ApplicationVerdict, code: ExitCode
):
    diff = night.compare_documents(
        with_applications(part("shop", before)), with_applications(part("shop", after))
    )
    assert night.exit_code(diff) == code
    assert bool(diff.applications) == (before is not after)


def test_a_new_application_that_is_blocked_got_no_worse():
    now = with_applications(part("shop", BLOCKED, "foo"))
    diff = night.compare_documents(with_applications(), now)
    assert night.exit_code(diff) == ExitCode.ADMISSIBLE
    assert "| shop | cp314t, debian-12 | — | blocked |" in night.render(diff, now)
    assert night.record(diff)["applications"][0]["after"] == "blocked"


def with_broken_call() -> ApplicationPart:
    """Return an application of which several threads break a native call."""
    risk = RiskPart(
        package="teacup",
        what="`shop` calls Cup.fill()",
        code="WF701",
        remedy=f"do not share {HOSTILE}",
    )
    plain = part("shop", READY)
    return plain.model_copy(update={"risks": [risk], "threads": "nothing else broke"})


def test_the_page_says_what_to_do_about_a_call_that_threads_break():
    data = site.SiteData(
        document=with_applications(with_broken_call()),
        history=History(runs={"r1": {}}),
        run="r1",
        runs={},
        logs={},
    )
    page = dict(site.render_pages(data))["applications.html"]
    assert "WF701. What to do: do not share" in page
    assert "Threads: nothing else broke." in page
    assert "<script>alert" not in page


def test_the_terminal_says_it_too():
    console = Console(file=io.StringIO(), width=200)
    print_details(console, [with_broken_call()])
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "to know     teacup: WF701 `shop` calls Cup.fill()" in printed
    assert "what to do  do not share" in printed
    assert "threads     nothing else broke" in printed
