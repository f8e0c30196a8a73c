import pytest

from builder.inside.stress.own_tests.pytest_report import find_single_threaded

REPORT = """\
tests/test_put.py ·.·                                                     [100%]
====================== pytest-run-parallel report ======================
tests/test_put.py::test_warns was not run in parallel: calls thread-unsafe function: warns
tests/test_put.py::test_many[a b] was not run in parallel: uses the thread_unsafe marker
=========================== 3 passed in 0.11s ===========================
"""


def test_every_test_in_one_thread_is_named_with_its_reason():
    assert find_single_threaded(REPORT) == {
        "tests/test_put.py::test_warns": "calls thread-unsafe function: warns",
        "tests/test_put.py::test_many[a b]": "uses the thread_unsafe marker",
    }


@pytest.mark.parametrize("text", ["", "====\nAll tests were run in parallel! \n"])
def test_where_all_ran_in_parallel_none_is_named(text: str):
    assert find_single_threaded(text) == {}
