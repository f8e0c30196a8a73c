"""The line of the application, and what it holds a lock for."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable

import pytest

from builder.inside.smoke.places import Place, Places, is_guarded, is_importing

PLACES = Places("/env/lib/site-packages", "/farm/project", "/env")
LOCK = threading.Lock()


def frame() -> types.FrameType:
    return sys._getframe(1)


def run_as(source: str, file: str, **names: object) -> object:
    """Run source as if it were in a file; return what it leaves as `result`."""
    namespace: dict[str, object] = {"frame": frame, **names}
    exec(compile(source, file, "exec"), namespace)
    return namespace["result"]


CALL = "def serve(call):\n    return call()\nresult = serve(call)\n"


def test_the_line_is_the_innermost_of_the_application():
    def deep() -> object:
        return run_as(
            "def use():\n    return frame()\nresult = use()\n",
            "/env/lib/site-packages/cups/shelf.py",
        )

    inner = run_as(CALL, "/farm/project/shop/main.py", call=deep)
    assert isinstance(inner, types.FrameType)
    assert PLACES.describe(inner) == Place("cups/shelf.py", 2, "use")

    line = PLACES.find_line(inner)
    assert line is not None
    assert line.file == __file__  # this file is nobody's: the frame of `deep`, above the package's


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("/farm/project/shop/main.py", "shop/main.py"),
        ("/env/bin/shop", "bin/shop"),
        ("<string>", "<string>"),
    ],
)
def test_files_are_named_as_a_person_knows_them(file: str, shown: str):
    inner = run_as("result = frame()", file)
    assert isinstance(inner, types.FrameType)
    assert PLACES.find_line(inner) == Place(shown, 1, "<module>")


class Shelf:
    shared = threading.Lock()

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.latch = threading.Condition()

    def use(self, call: Callable[[], bool]) -> bool:
        return call()


def look() -> bool:
    return is_guarded(sys._getframe(1))


def test_a_lock_that_is_held_is_seen_wherever_code_has_it():
    shelf = Shelf()
    assert not shelf.use(look)
    for lock in (shelf.lock, shelf.latch, Shelf.shared):
        with lock:
            assert shelf.use(look)
    with LOCK:
        assert not shelf.use(lambda: False)
        assert _name_lock()
    local = threading.Lock()
    with local:
        assert look()
    assert not look()


def _name_lock() -> bool:
    return look() and LOCK.locked()


def test_a_lock_of_another_thread_guards_nothing_here():
    lock = threading.RLock()
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(20)
    assert not look()
    assert lock is not None
    done.set()
    thread.join()


def test_an_import_is_seen_from_within():
    assert not is_importing(sys._getframe())
    inner = run_as("result = frame()", "<frozen importlib._bootstrap>")
    assert isinstance(inner, types.FrameType)
    assert is_importing(inner)
