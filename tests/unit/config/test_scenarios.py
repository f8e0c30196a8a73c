"""Scenarios of applications: what is measured, and how much worse it may get."""

from __future__ import annotations

import pytest

from builder.config.metrics import LATENCY_SHARES, METRICS
from builder.config.values import NO_INPUTS
from tests.unit.config.parsing import mistakes, parse

TEXT = """
[packages.foo]
[applications.shop]
lock = "shop.txt"
[applications.shop.scenarios.list]
"""


def test_a_call_is_made_with_several_threads_and_a_command_with_one():
    matrix = parse(TEXT + 'call = "shop.views:Books.list"\nthreads = [1, 8, 1]\n')
    scenario = matrix.applications["shop"].scenarios["list"]
    assert (scenario.kind, scenario.target) == ("call", "shop.views:Books.list")
    assert scenario.thread_counts == (1, 8)
    command = parse(TEXT + 'command = "python -m shop"')
    assert command.applications["shop"].scenarios["list"].thread_counts == (1,)


def test_a_service_that_knows_of_threads_is_measured_with_each_number():
    text = 'serve = "serve --port {port} --threads {threads}"\nthresholds = { p99 = "+10%", throughput = "-5%" }\n'
    scenario = parse(TEXT + text).applications["shop"].scenarios["list"]
    assert (scenario.kind, scenario.thread_counts) == ("serve", (1, 2, 4))
    assert {name: str(value) for name, value in scenario.thresholds.items()} == {
        "p99": "+10%",
        "throughput": "-5%",
    }


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('call = "shop"', "list.call", "a function of a module, such as 'shop.views:list_books'"),
        ('call = "a:b"\ncommand = "c"', "list", "expected one of `call`, `command` and `serve`, not call and command"),
        ("threads = [1]", "list", "not none of them"),
        ('serve = "serve"', "list", "expected {port} in `serve`"),
        ('serve = "s {port}"\npath = "books"', "list.path", "such as '/books?sort=title'"),
        ('call = "a:b"\nthresholds = { p99 = "-10%" }', "list.thresholds", "p99: expected '+10%', not '-10%'"),
        ('call = "a:b"\nthresholds = { p99 = "a bit" }', "list.thresholds.p99", "expected a share such as '5%'"),
        ('call = "a:b"\nthresholds = { p98 = "5%" }', "list.thresholds.p98", "expected 'p50', 'p75'"),
        ('call = "a:b"\nthread = [1]', "list.thread", "did you mean 'threads'?"),
    ],
    ids=["function", "two", "none", "port", "path", "sign", "share", "metric", "key"],
)  # fmt: skip
def test_a_mistake_says_where_it_is_and_what_was_expected(text: str, path: str, expected: str):
    found = mistakes(TEXT + text)
    where = f"applications.shop.scenarios.{path}"
    assert where in found
    assert expected in found[where]


def test_every_quantile_is_a_metric():
    assert set(LATENCY_SHARES) < set(METRICS)


def test_no_result_of_a_run_goes_by_a_scenario():
    with_scenario = parse(TEXT + 'call = "a:b"')
    without = parse(TEXT.replace("[applications.shop.scenarios.list]", ""))
    assert with_scenario != without
    dumped = with_scenario.model_dump(mode="json", exclude=NO_INPUTS)
    assert dumped == without.model_dump(mode="json", exclude=NO_INPUTS)
    assert dumped["applications"]["shop"]["lock"] == "shop.txt"
