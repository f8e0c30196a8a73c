"""What watched processes said: taken as it is meant, and left out where it has another form."""

from __future__ import annotations

from typing import Any

import pytest

from builder.evidence.application import AmplifiedCommand
from builder.inside.application.amplified import _explain
from builder.inside.application.trials import summarize
from builder.inside.supervise.records import Records

TRIAL = {
    "name": "cups.Cup.fill",
    "distribution": "teacup",
    "kind": "method",
    "shares": True,
    "status": "crash",
    "signal": "SIGSEGV",
    "call": "s.fill(1)",
    "beside": ["cups.Cup.stir"],
    "returned": [],
    "wrong": [],
    "arms": {"shared": [3, 3], "alone": [0, 2]},
    "line": ["main.py", 3, "serve"],
    "caller": None,
}
FINE = {**TRIAL, "status": "ok", "arms": {}, "returned": ["cups.Cup.fill", "cups.Cup.stir"]}


def tell(*trials: Any, summary: Any = None) -> Records:
    items: list[dict[str, Any]] = [{"begun": True}]
    items += [{"trial": trial} for trial in trials]
    items.append({"summary": summary or {"calls": {"cups.Cup.fill": 4}, "skipped": {"lock": 1}}})
    return Records(items=items, is_closed=True)


def test_what_several_processes_said_is_added_up_and_fits_the_evidence():
    summary = summarize([tell(TRIAL, FINE), tell(FINE)])
    assert (summary["processes"], summary["trials"], summary["callables"]) == (2, 3, 1)
    assert (summary["returned"], summary["pairs"], summary["skipped"]) == (2, 2, {"lock": 2})
    (event,) = summary["events"]
    assert event["line"] == {"file": "main.py", "line": 3, "function": "serve"}
    AmplifiedCommand.model_validate(
        {"command": "x", "exit_code": 0, "seconds": 0.1, "unexamined": "", **summary}
    )


@pytest.mark.parametrize(
    "trial",
    [
        "none",
        {**TRIAL, "name": 3},
        {**TRIAL, "name": "x" * 5000},
        {**TRIAL, "kind": "module"},
        {**TRIAL, "arms": {"shared": [3, 3]}},
        {**TRIAL, "arms": {"shared": [3, "3"], "alone": [0, 2]}},
        {**TRIAL, "arms": {"shared": [True, 3], "alone": [0, 2]}},
        {**TRIAL, "status": "end"},
    ],
)
def test_what_nobody_of_ours_can_have_said_is_no_event(trial: Any):
    assert summarize([tell(trial)])["events"] == []


def test_wrong_results_are_kept_and_cut():
    wrong = {**TRIAL, "status": "ok", "wrong": ["a" * 5000, 7, "b", "c", "d"], "line": ["x"]}
    (event,) = summarize([tell(wrong)])["events"]
    assert event["what"] == "wrong"
    assert [len(text) for text in event["sentences"]] == [700, 1, 1]
    assert event["line"] is None


def test_a_summary_of_another_form_says_nothing():
    summary = summarize([tell(summary={"calls": [1], "skipped": {"lock": "often", "": 2}})])
    assert (summary["callables"], summary["skipped"]) == (0, {})


@pytest.mark.parametrize(
    ("facts", "silent", "words"),
    [
        ({"exit_code": 0, "processes": 1}, 0, ""),
        ({"exit_code": None, "processes": 1}, 0, "did not end in time"),
        ({"exit_code": 3, "processes": 1}, 0, "exit code 3 when it was watched"),
        ({"exit_code": 0, "processes": 0}, 0, "no Python process"),
        ({"exit_code": 0, "processes": 2}, 1, "1 of 2 processes ended before"),
    ],
)
def test_what_could_not_be_examined_is_said(facts: dict[str, Any], silent: int, words: str):
    told = _explain(facts, silent=silent)
    assert words in told
    assert bool(told) == bool(words)
