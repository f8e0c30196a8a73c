"""How far a move is: the page of the report, and the terminal."""

from __future__ import annotations

from pathlib import Path

from builder.judge.migration.model import Checklist, State, Step, StepResult
from builder.report.documents.migration import (
    STEP_WORDS,
    MigrateDocument,
    make_migrate_document,
)
from builder.report.history import History
from builder.report.site import site
from builder.report.terminal.migration import print_checklists
from tests.unit.documents import HOSTILE, document
from tests.unit.report.pages import print_narrow, render_pages

COMMANDS = ("wheelfarm add --all uv.lock", "wheelfarm run")
LONG = "wheelfarm promote " + " ".join(f"package-{number}==1.0" for number in range(40))


def result(step: Step, state: State = State.DONE, *commands: str, advice: str = "") -> StepResult:
    return StepResult(
        step=step, state=state, evidence=(f"seen of {step}",), commands=commands, advice=advice
    )


def made(*changed: StepResult) -> MigrateDocument:
    """Return the checklist of a move of which every step is done, but for some."""
    by_step = {step: result(step) for step in Step} | {item.step: item for item in changed}
    checklist = Checklist(application="shop", abi="cp314t", results=tuple(by_step.values()))
    return make_migrate_document([checklist], "2026-11-21T02:00:00Z")


OPEN = made(
    result(Step.BUILD, State.OPEN, *COMMANDS, advice=f"read `LOG` {HOSTILE}"),
    result(Step.SOAK, State.UNAVAILABLE, advice="watch its memory"),
    result(Step.PROMOTE, State.FAILED, LONG),
)


def pages(migration: MigrateDocument | None) -> dict[str, str]:
    return render_pages(migration=migration)


def printed(migration: MigrateDocument) -> str:
    return print_narrow(print_checklists, migration)


def test_the_page_begins_with_what_is_next_and_has_every_step():
    page = pages(OPEN)["migration.html"]
    summary = page.index("4 of 7 steps are done; next: build.")
    command = page.index(f'<code class="cmd">{COMMANDS[0]}</code>')
    assert summary < command < page.index("<table")
    for step in Step:
        assert STEP_WORDS[step] in page
        assert f"seen of {step}" in page
    assert page.count(COMMANDS[0]) == 1
    assert LONG in page
    assert "watch its memory" in page
    assert "<script>alert" not in page


def test_without_applications_there_is_no_page_and_an_old_one_goes(tmp_path: Path):
    assert "migration.html" not in pages(None)
    assert 'href="migration.html"' not in pages(None)["index.html"]
    assert 'href="migration.html"' in pages(OPEN)["index.html"]

    data = site.SiteData(
        document=document({}), history=History(runs={"r1": {}}), run="r1", runs={}, logs={}
    )
    (tmp_path / "migration.html").write_text("old")
    site.write_site(data, tmp_path)
    assert not (tmp_path / "migration.html").exists()


def test_the_terminal_marks_what_is_next_and_breaks_no_command():
    text = printed(OPEN)
    assert "shop to cp314t" in text
    assert "→  build    to do             seen of build" in text
    assert text.count("→") == 1
    assert text.endswith("next: build\n  wheelfarm add --all uv.lock\n  wheelfarm run\n")
    assert f"\n  {LONG}\n" in printed(made(result(Step.PROMOTE, State.OPEN, LONG)))


def test_where_nothing_is_left_that_the_farm_can_do_it_says_what_it_cannot():
    assert printed(made()).endswith("7 of 7 steps are done\n")
    without = made(result(Step.MEASURE, State.UNAVAILABLE), result(Step.SOAK, State.UNAVAILABLE))
    (part,) = without.checklists
    assert part.next is None
    assert part.summary == "5 of 7 steps are done; the farm cannot do the rest yet: measure, soak"


def test_every_step_has_a_word():
    assert set(STEP_WORDS) == set(Step)
