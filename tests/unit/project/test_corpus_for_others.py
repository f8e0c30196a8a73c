"""The corpus can be packed for another detector, and what one answers is scored: benchmarks/corpus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.corpus.__main__ import pack, score
from benchmarks.corpus.answers import Answer, read_answers, write_answers
from benchmarks.corpus.ask import REQUIREMENTS, TOOLS, find_requirement, read_answer
from benchmarks.corpus.scoring import count_answers, describe_counts
from benchmarks.detection.labels import Label

if TYPE_CHECKING:
    from pathlib import Path


def label(package: str, expected: str, *functions: str) -> Label:
    return Label(package=package, version="", expected=expected, fault="", functions=functions)


def test_it_packs_an_sdist_for_each_label(tmp_path: Path):
    pack(tmp_path)

    labels = (tmp_path / "labels.tsv").read_text().splitlines()
    sdists = list(tmp_path.glob("*.tar.gz"))
    assert len(sdists) == len(labels) - 1 > 50


def test_answers_are_scored_by_function():
    labels = [
        label("cache", "thread-unsafe", "fill"),
        label("stack", "distinct", "Stack_push"),
        label("idle", "distinct", "wait"),
        label("safe", "compatible"),
        label("calm", "compatible"),
    ]
    answers = {
        ("cache", ""): Answer(is_blamed=True, where="refill in cache.c", seconds=2.0),
        ("stack", ""): Answer(is_blamed=True, where="Stack.push()", seconds=1.5),
        ("safe", ""): Answer(is_blamed=True, where=""),
        ("calm", ""): Answer(is_blamed=False, where=""),
    }

    counts = count_answers(labels, answers)

    assert counts["seconds"] == 3.5
    assert counts["faults"] == {"thread-unsafe": [0, 1], "distinct": [1, 2]}
    lines = describe_counts(counts)
    assert lines[0].startswith("found: 2 of 3,")
    assert lines[1].startswith("in the right function: 1 of 3,")
    assert lines[2:] == ["blamed without a fault: 1 of 2", "  safe", "without an answer: idle"]


@pytest.mark.parametrize(
    ("where", "right"),
    [("importing `slug` re-enables the GIL", 1), ("slug.c:8 slugify: static names", 0)],
)
def test_that_importing_turns_the_gil_on_has_to_be_said(where: str, right: int):
    answers = {("slug", ""): Answer(is_blamed=True, where=where)}
    counts = count_answers([label("slug", "gil-required")], answers)
    assert counts["blamed"] == 1
    assert counts["right"] == right


def test_each_release_has_an_answer_of_its_own():
    broken = Label(package="pkg", version="1", expected="distinct", fault="", functions=("put",))
    mended = Label(package="pkg", version="2", expected="compatible", fault="", functions=())
    answers = {
        ("pkg", "1"): Answer(is_blamed=True, where="put"),
        ("pkg", "2"): Answer(is_blamed=False, where=""),
    }

    counts = count_answers([broken, mended], answers)

    assert counts["right"] == 1
    assert counts["condemned"] == []
    assert counts["unanswered"] == []


def test_answers_are_read(tmp_path: Path):
    path = tmp_path / "answers.tsv"
    path.write_text("package\tblamed\twhere\ncache\tyes\tfill\nsafe\tno\t\n")
    assert read_answers(path) == {
        ("cache", ""): Answer(is_blamed=True, where="fill"),
        ("safe", ""): Answer(is_blamed=False, where=""),
    }


def test_answers_that_were_written_are_read_again(tmp_path: Path):
    path = tmp_path / "answers.tsv"
    written = {("pkg", "1.2"): Answer(is_blamed=True, where="a\tb\nc", seconds=1.25, note="n")}
    write_answers(written, path)
    answer = Answer(is_blamed=True, where="a b c", seconds=1.2, note="n")
    assert read_answers(path) == {("pkg", "1.2"): answer}


def test_what_is_left_in_a_container_may_be_anything():
    fine = read_answer(b'{"places": ["a.c:1 f: \\u001b[2J"], "note": "1 source"}', 2.0)
    assert fine == Answer(is_blamed=True, where="a.c:1 f: \\x1b[2J", seconds=2.0, note="1 source")

    for content in (b"no json", b"[]", b'{"places": "all"}', b"\xff"):
        answer = read_answer(content, 1.0)
        assert not answer.is_blamed
        assert answer.note


@pytest.mark.parametrize("name", TOOLS)
def test_each_tool_is_pinned_with_hashes(name: str):
    distribution = TOOLS[name].distribution
    lines = find_requirement(distribution, REQUIREMENTS.read_text()).splitlines()
    assert lines[0].startswith(f"{distribution}==")
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
    assert len(lines) > 1


def test_a_tool_that_is_not_pinned_is_not_downloaded():
    with pytest.raises(LookupError, match="does not pin tool"):
        find_requirement("tool", "tools==1 \\\n    --hash=sha256:00\n")


def test_a_score_is_brought_into_the_measurement(tmp_path: Path):
    answers = tmp_path / "answers.tsv"
    answers.write_text("package\tblamed\twhere\nticketry\tyes\tticketry_next\n")
    again = tmp_path / "again.tsv"
    again.write_text("package\tblamed\twhere\nticketry\tno\t\n")
    measurement = tmp_path / "detection.json"
    measurement.write_text(json.dumps({"sets": {}, "effort": "quick"}))

    score([answers, again], "corpus", measurement, "rival")

    results = json.loads(measurement.read_text())
    assert results["effort"] == "quick"
    rival = results["others"]["corpus"]["rival"]
    assert rival["right"] == 1
    assert rival["stability"]["changed"] == 1
    assert rival["stability"]["methods"] == {"rival": 1}
    assert "romanum" in rival["unanswered"]
    assert rival["measured"]["cores"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package\tblamed\ncache\tyes\n", "no column where"),
        (
            "package\tblamed\twhere\ncache\tmaybe\tfill\n",
            "line 2: blamed is 'maybe', not yes or no",
        ),
        (
            "package\tblamed\twhere\tseconds\ncache\tyes\tfill\tlong\n",
            "line 2: seconds is 'long', not a number",
        ),
    ],
)
def test_answers_that_cannot_be_read_are_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "answers.tsv"
    path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        read_answers(path)
