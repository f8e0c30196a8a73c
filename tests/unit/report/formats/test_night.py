import pytest

from builder.errors import ExitCode
from builder.report.documents.verdicts_json import Document
from builder.report.formats import night
from tests.unit.documents import HOSTILE, abi, document, finding

GOOD = {"cp314": abi()}


def bad(verdict: str = "racy"):
    return {"cp314": abi(verdict, "why", finding())}


def released(made: Document, **versions: str) -> Document:
    packages = [
        one.model_copy(update={"version": versions.get(one.name, one.version)})
        for one in made.packages
    ]
    return made.model_copy(update={"packages": packages})


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ({"a": GOOD}, {"a": GOOD}, ExitCode.ADMISSIBLE),
        ({"a": bad()}, {"a": bad()}, ExitCode.ADMISSIBLE),
        ({"a": bad()}, {"a": GOOD}, ExitCode.ADMISSIBLE),
        ({"a": GOOD}, {"a": bad()}, ExitCode.FAULTS),
        ({"a": bad("racy")}, {"a": bad("thread-unsafe")}, ExitCode.FAULTS),
        ({"a": GOOD}, {"a": bad("undetermined")}, ExitCode.UNDETERMINED),
        ({"a": bad("racy")}, {"a": bad("undetermined")}, ExitCode.UNDETERMINED),
        ({"a": bad("undetermined")}, {"a": bad("undetermined")}, ExitCode.ADMISSIBLE),
        ({"a": GOOD, "b": GOOD}, {"a": bad("undetermined"), "b": bad()}, ExitCode.FAULTS),
        ({"a": GOOD}, {"a": GOOD, "new": bad()}, ExitCode.ADMISSIBLE),
        ({"a": GOOD}, {"a": GOOD, "new": bad("undetermined")}, ExitCode.UNDETERMINED),
        ({"a": GOOD, "b": GOOD}, {"a": GOOD}, ExitCode.ADMISSIBLE),
    ],
)
def test_a_verdict_that_got_worse_is_a_failure(before, after, code: ExitCode):
    assert night.exit_code(night.compare_documents(document(before), document(after))) is code


def test_the_first_night_has_nothing_to_compare_with():
    first = night.compare_documents(None, document({"a": bad()}))
    assert night.exit_code(first) is ExitCode.ADMISSIBLE
    text = night.render(first, document({"a": bad()}))
    assert "first night" in text
    assert "## " not in text


def test_releases_verdicts_and_findings_are_told():
    before = document({"a": GOOD, "b": bad(), "gone": GOOD})
    after = released(document({"a": bad(), "b": bad(), "new": bad()}), a="2.0", b="1.5")
    text = night.render(night.compare_documents(before, after), after)
    assert "Verdicts: 1 worse, 1 new, 1 gone." in text
    for row in ("| a | 1.0 | 2.0 |", "| b | 1.0 | 1.5 |", "| gone | 1.0 | — |", "| new | — | 1.0 |",
                "| worse | a | cp314 | compatible | racy | why |"):  # fmt: skip
        assert row in text
    findings = text.partition("## New findings")[2]
    assert "| WF402 | a | cp314 |" in findings
    assert "| b |" not in findings, "it had that finding before"
    assert "| new |" not in findings, "all of a new package is new"


def test_a_quiet_night_says_so():
    text = night.render(
        night.compare_documents(document({"a": GOOD}), document({"a": GOOD})), document({"a": GOOD})
    )
    assert "No verdict changed." in text
    assert "## " not in text


def test_hostile_text_stays_in_its_cell():
    before, after = (
        document({"a": GOOD}),
        document({"a": {"cp314": abi("racy", HOSTILE, finding(detail=HOSTILE))}}),
    )
    text = night.render(night.compare_documents(before, after), after)
    assert "<script>" not in text
    assert all(
        line.count("|") - line.count("\\|") in {0, 6, 7}
        for line in text.splitlines()
        if "script" in line
    )
