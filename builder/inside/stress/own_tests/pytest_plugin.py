"""The plugin of pytest by which amplified_tests.py chooses tests, and is told which one runs."""

import sys
from typing import Any, Literal, Protocol

_PROFILE = "wheelfarm"
_MOST_EXAMPLES = 5  # of a test of hypothesis


class Session(Protocol):
    """Who is told."""

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        ...

    def begin_test(self, name: str, part: str) -> None:
        """Note that a test begins: its name, and its name in its file."""

    def end_test(self) -> None:
        """Note that a test has ended."""


class Plugin:
    """A plugin of pytest that tells the session which test runs."""

    def __init__(self, session: Session, names: list[str] | None) -> None:
        """Prepare to run some tests.

        Args:
            session: is told of each.
            names: of the tests that are to run, in this order; None for all.
        """
        self._session = session
        self._names = names
        self._has_profile = False

    def pytest_addoption(self, parser: Any) -> None:  # noqa: ANN401 - pytest's
        """Say that there is no debugger, in the place of pytest's own plugin for it, whom others ask: pytest's hook."""
        parser.addoption("--pdb", dest="usepdb", action="store_true", default=False)
        parser.addoption("--pdbcls", dest="usepdb_cls", default=None)
        parser.addoption("--trace", dest="trace", action="store_true", default=False)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave the tests that are to run, in their order: pytest's hook."""
        if self._names is None:
            return
        by_name = {_name_in_file(item): item for item in items}
        items[:] = [by_name[name] for name in choose_tests(list(by_name), self._names)]

    def pytest_runtest_setup(self, item: Any) -> None:  # noqa: ANN401 - pytest's
        """Note that a test begins; end the session when the time is up: pytest's hook."""
        if self._session.is_late:
            item.session.shouldstop = "the time is up"
        self._limit_examples()
        self._session.begin_test(item.nodeid, _name_in_file(item))

    def pytest_runtest_makereport(self, item: Any, call: Any) -> object:  # noqa: ANN401 - pytest's
        """Return a report without a traceback, which nobody reads and which takes long to write: pytest's hook."""
        import pytest

        outcome: Literal["passed", "failed", "skipped"] = "passed"
        if call.excinfo is not None:
            is_skipped = isinstance(call.excinfo.value, pytest.skip.Exception)
            outcome = "skipped" if is_skipped else "failed"
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome=outcome,
            longrepr=None,
            when=call.when,
        )

    def _limit_examples(self) -> None:
        """Have hypothesis, where tests use it, make a few examples of each: calls are wanted, and no proof."""
        hypothesis = sys.modules.get("hypothesis")
        if hypothesis is None or self._has_profile:
            return
        self._has_profile = True
        hypothesis.settings.register_profile(
            _PROFILE, max_examples=_MOST_EXAMPLES, database=None, deadline=None
        )
        hypothesis.settings.load_profile(_PROFILE)

    def pytest_runtest_logfinish(self) -> None:
        """Note that a test has ended: pytest's hook."""
        self._session.end_test()


def _name_in_file(item: Any) -> str:  # noqa: ANN401 - pytest's
    """Return the name of a test in its file: `TestParser::test_feed[4]`."""
    return str(item.nodeid.partition("::")[2])


def choose_tests(there: list[str], wanted: list[str] | None) -> list[str]:
    """Return the tests to run, in their order: all where none of those that are wanted is there.

    Args:
        there: the tests of a file.
        wanted: the tests that are to run; None for all.
    """
    names = set(there)
    chosen = [name for name in wanted or () if name in names]
    return chosen or there
