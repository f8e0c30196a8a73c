"""Run pytest, and mark in standard error, where a sanitizer writes its reports, that a test has ended.

Usage: python -m inside.stress.own_tests.marked_tests, asked as inside.supervise.witness says.

The request has `arguments` (of pytest), `paths` (folders to import from) and `mark`. A record has `ended`, the number
of a test in the order in which they end; a line with the mark and the same number goes to standard error before it.
Where that line does not arrive, something of the package keeps from arriving what is written there.
"""

import builtins
import os
import sys
from collections.abc import Callable
from typing import Any

from ...supervise.witness import Witness, hide_programs, read_request

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

MOST_MARKED = 100_000
"""Tests that are marked: the first ones. A supervisor takes twice as many records."""

_write = os.write


class Marker:
    """A plugin of pytest that marks the end of each test."""

    def __init__(self, say: Callable[[dict[str, Any]], None], mark: str) -> None:
        """Prepare to mark.

        Args:
            say: writes a record.
            mark: what is written to standard error, before the number of a test.
        """
        self._say = say
        self._mark = mark
        self._ended = 0

    def pytest_runtest_logfinish(self) -> None:
        """Mark the end of a test, in all its threads: pytest's hook."""
        number = self._ended
        self._ended += 1
        if number < MOST_MARKED:
            _write(2, f"\n{self._mark} {number}\n".encode())
            self._say({"ended": number})


def main() -> None:
    """Run pytest as it was asked, and end as it does."""
    asked = read_request()
    witness = Witness(asked["token"], asked["descriptor"], looked=asked["looked"])
    request = asked["request"]
    programs = os.environ["PYTHONPATH"]
    # As under `python -m pytest`: the tests' own folder is the first.
    sys.path[:] = [
        os.getcwd(),  # noqa: PTH109 - a path of the import system
        *request["paths"],
        *(path for path in sys.path if path != programs),
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join(request["paths"])
    hide_programs()

    import pytest

    exit_code = pytest.main(request["arguments"], plugins=[Marker(witness.write, request["mark"])])
    witness.close()
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
