"""The table of finding codes: complete, checked as a whole, and the only source of codes."""

import itertools
import re
import typing
from pathlib import Path

import pytest
from pydantic import ValidationError

from builder import ROOT
from builder.errors import InfrastructureError
from builder.generate import docs
from builder.jobs.build.failure import Failure
from builder.judge import codes
from builder.judge.findings import Finding
from builder.sources import Fault
from builder.verdicts import Severity, Verdict
from builder.verdicts.codes import FindingCode

ROW = """
[WF101]
title = "unknown project"
severity = "error"
verdict = "build-failure"
meaning = '''
It is
not there.
'''
matters = "Nothing can be built."
confirm = "`pip index versions NAME`"
remedy = "Correct the name."
"""


def test_a_text_over_several_lines_is_one_paragraph():
    code = codes.parse(ROW)["WF101"]

    assert code.meaning == "It is not there."
    assert code.severity is Severity.ERROR
    assert code.verdict is Verdict.BUILD_FAILURE


def test_every_mistake_is_named_at_once():
    wrong = (
        ROW.replace('"error"', '"fatal"').replace("matters", "why").replace("Correct the name.", "")
    )

    with pytest.raises(ValidationError) as caught:
        codes.parse(wrong)

    places = {".".join(map(str, mistake["loc"])) for mistake in caught.value.errors()}
    assert places == {"WF101.severity", "WF101.matters", "WF101.why", "WF101.remedy"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[WF101]", "[WF1]"),
        ('"unknown project"', '"Unknown project."'),
        ('"build-failure"', '"broken"'),
        ('severity = "error"', 'severity = "info"'),
        ('severity = "error"', 'severity = "warning"'),
    ],
)
def test_a_wrong_row_is_refused(right: str, wrong: str):
    assert right in ROW
    with pytest.raises(ValidationError):
        codes.parse(ROW.replace(right, wrong))


def test_codes_ascend():
    assert all(first < second for first, second in itertools.pairwise(codes.load()))


def test_texts_are_sentences():
    for code in codes.load().values():
        assert code.meaning.endswith("."), code.code
        assert code.matters.endswith("."), code.code
        assert code.remedy.endswith("."), code.code


def test_titles_are_unlike():
    titles = [code.title for code in codes.load().values()]
    assert len(set(titles)) == len(titles)


def test_the_type_of_codes_is_made_from_the_table():
    assert (ROOT / "verdicts/codes.py").read_text() == docs.render_finding_codes(), (
        "run `make docs`"
    )
    assert typing.get_args(FindingCode) == tuple(codes.load())


@pytest.mark.parametrize(
    ("holder", "name"),
    [(Finding, "code"), (Fault, "code"), (Failure, "code"), (InfrastructureError.__init__, "code")],
)
def test_mypy_checks_every_code_that_is_written_down(holder: object, name: str):
    """Each of these takes a `FindingCode`, so that a typing mistake in one is an error of `make lint`."""
    assert typing.get_type_hints(holder)[name] == FindingCode


def test_text_names_no_code_that_does_not_exist():
    folders = (ROOT, ROOT.parent / "docs")
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in {".py", ".toml", ".md"}
    ]
    named = {code for path in files for code in re.findall(r"\bWF\d{3}\b", path.read_text())}

    assert len(files) > 100
    assert named == set(codes.load())


def test_the_table_is_part_of_the_package():
    assert Path(codes.__file__).with_name("codes.toml").is_file()
