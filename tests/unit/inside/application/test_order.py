"""In which order the modules of an application are imported."""

from __future__ import annotations

from builder.inside.application.application import order_modules

TOPS = {
    "attrs": "attrs",
    "late": "late-project",
    "early": "early",
    "_early": "early",
    "zlast": "zlast",
}


def test_modules_are_imported_by_name():
    assert order_modules(TOPS, {}) == ["_early", "attrs", "early", "late", "zlast"]


def test_what_has_to_be_imported_first_comes_before_what_needs_it():
    after = {"attrs": ["late-project"], "late-project": ["zlast", "early"]}
    assert order_modules(TOPS, after) == ["_early", "zlast", "early", "late", "attrs"]


def test_what_is_not_installed_is_passed_over_and_two_that_wait_for_each_other_end_nothing():
    after = {"attrs": ["nowhere", "zlast"], "zlast": ["attrs"]}
    assert order_modules(TOPS, after) == ["_early", "zlast", "attrs", "early", "late"]
