"""Python code of a package by which users reach native code that only the package calls."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from builder.inside.stress.calls.wrappers import Wrappers, is_code_of_package

if TYPE_CHECKING:
    from collections.abc import Callable

SITE = "/site"

PACKAGE = """
class Board:
    def __init__(self, core):
        core()
        self._core = core

    def paint(self):
        return self._fill()

    def _fill(self):
        return self._core()

    def __len__(self):
        return self._core() or 0

    def lines(self):
        yield self._core()

def load(core):
    return Board(core)
"""


@pytest.fixture
def wrappers():
    return Wrappers(SITE)


@pytest.fixture
def package(wrappers: Wrappers):
    """A package in Python, and a native function of it that notes who calls it."""
    variables: dict[str, Any] = {"__name__": "pkg.boards"}
    exec(compile(PACKAGE, f"{SITE}/pkg/boards.py", "exec"), variables)

    def core():
        wrappers.note(sys._getframe(1), "pkg._core.fill")

    variables["core"] = core
    return variables


def names_of(wrappers: Wrappers) -> set[str]:
    return set(wrappers.to_json())


def use(call: Callable[[], Any]) -> Any:
    """Call as a test does, whose code is not in the package."""
    return call()


def test_the_outermost_public_method_or_class_wraps_what_is_called_within(
    wrappers: Wrappers, package: dict[str, Any]
):
    board = use(lambda: package["Board"](package["core"]))
    assert wrappers.to_json() == {"pkg.boards.Board": ["pkg._core.fill"]}

    use(board.paint)
    assert names_of(wrappers) == {"pkg.boards.Board", "pkg.boards.Board.paint"}

    use(lambda: package["load"](package["core"]))
    assert "pkg.boards.load" in names_of(wrappers)


def test_who_called_the_outermost_function_is_known(wrappers: Wrappers, package: dict[str, Any]):
    noted: list[Any] = []

    def core():
        noted.append(wrappers.note(sys._getframe(1), "pkg._core.fill"))

    use(lambda: package["Board"](core))
    assert noted[0].name == "pkg.boards.Board"
    assert noted[0].caller.f_code.co_filename == __file__


@pytest.mark.parametrize("call", ["_fill()", "__len__()", "lines().__next__()"])
def test_what_users_do_not_call_by_its_name_wraps_nothing(
    wrappers: Wrappers, package: dict[str, Any], call: str
):
    board = package["Board"](lambda: None)
    board._core = package["core"]
    use(lambda: eval(f"board.{call}", {"board": board}))
    assert names_of(wrappers) == set()


def test_a_wrapper_is_known_when_it_is_called(wrappers: Wrappers, package: dict[str, Any]):
    kind = package["Board"]
    assert wrappers.find_name(kind) is None
    board = use(lambda: kind(package["core"]))
    use(board.paint)

    assert wrappers.find_name(kind) == "pkg.boards.Board"
    assert wrappers.find_name(kind.paint) == "pkg.boards.Board.paint"
    assert wrappers.find_name(kind.lines) is None
    assert wrappers.find_name(len) is None


def test_what_was_learnt_before_is_known_and_what_wraps_nothing_reaches_itself(
    package: dict[str, Any],
):
    wrappers = Wrappers(SITE, {"pkg.boards.load": ["pkg._core.open"]})
    assert wrappers.find_name(package["load"]) == "pkg.boards.load"
    assert "pkg.boards.load" in wrappers
    assert wrappers.list_natives("pkg.boards.load") == ["pkg._core.open"]
    assert wrappers.list_natives("pkg._core.open") == ["pkg._core.open"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/site/pkg/boards.py", True),
        ("/site/pkg/tests/test_boards.py", False),
        ("/site/test/test_boards.py", False),
        ("/home/tests/conftest.py", False),
    ],
)
def test_tests_that_were_installed_use_the_package_as_others_do(file: str, *, expected: bool):
    assert is_code_of_package(file, "/site/") is expected
