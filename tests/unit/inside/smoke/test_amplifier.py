"""What is tried in an application's process, and what is left out so that it stays as it is."""

from __future__ import annotations

import signal
import sys
import threading
import time
import types
from types import SimpleNamespace
from typing import Any

import pytest

from builder.inside.smoke.amplifier import CommandAmplifier
from builder.inside.smoke.places import Places
from builder.inside.smoke.surface import GrowingSurface
from builder.inside.stress.calls.live_calls import LiveCall
from builder.inside.stress.own_tests.amplifier import Settings

SITE = "/env/lib/site-packages"


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def amplifier(monkeypatch: pytest.MonkeyPatch, told: list[dict[str, Any]]) -> CommandAmplifier:
    monkeypatch.setattr(sys, "monitoring", SimpleNamespace(DISABLE=object()), raising=False)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    return CommandAmplifier(
        GrowingSurface({"cups": "teacup", "shelf": "shelf"}, []),
        Settings(threads=4, seconds=5, child_s=2, is_race=False, mark=""),
        told.append,
        places=Places(SITE, "/farm/project", "/env"),
        until=time.monotonic() + 60,
    )


def filling(name: str = "cups.Cup.fill") -> LiveCall:
    return LiveCall(
        name=name,
        text="s.fill({})",
        function=len,
        receiver=[],
        is_bound=False,
        arguments=(),
        keywords={},
        makes=None,
    )


def frame_in(file: str) -> types.FrameType:
    namespace: dict[str, Any] = {"sys": sys}
    exec(compile("frame = sys._getframe()", file, "exec"), namespace)
    frame: types.FrameType = namespace["frame"]
    return frame


def test_a_call_is_by_a_package_where_its_own_distribution_makes_it(amplifier: CommandAmplifier):
    assert amplifier._is_by_package(filling(), frame_in(f"{SITE}/cups/api.py"))
    assert not amplifier._is_by_package(filling(), frame_in(f"{SITE}/shelf/__init__.py"))
    assert not amplifier._is_by_package(filling(), frame_in("/farm/project/main.py"))


def test_what_has_native_code_and_the_application_itself_stay_watched(
    amplifier: CommandAmplifier,
):
    amplifier._surface.homes = {"teacup"}
    files = (f"{SITE}/cups/api.py", f"{SITE}/shelf/__init__.py", "/farm/project/main.py")
    watched = [amplifier._belongs_to_package(frame_in(file).f_code) for file in files]
    assert watched == [True, False, True]


def look(amplifier: CommandAmplifier) -> str:
    return amplifier._find_obstacle(sys._getframe(1))


def test_nothing_is_tried_where_the_process_would_notice(
    amplifier: CommandAmplifier, monkeypatch: pytest.MonkeyPatch
):
    assert look(amplifier) == ""
    lock = threading.Lock()
    with lock:
        assert look(amplifier) == "lock"

    usual = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        assert look(amplifier) == "children"
    finally:
        signal.signal(signal.SIGCHLD, usual)

    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert look(amplifier) == "gil"
    amplifier._until = 0.0
    assert look(amplifier) == "time"


def test_what_is_called_while_an_object_is_made_is_not_shared(amplifier: CommandAmplifier):
    amplifier._consider(filling("cups.Cup.__init__"), sys._getframe())
    assert amplifier.planner.seen == {}


def test_what_came_when_the_time_for_trials_was_gone_is_counted(
    amplifier: CommandAmplifier,
):
    amplifier._spent_s = 5.0
    amplifier._consider(filling(), frame_in("/farm/project/main.py"))
    assert amplifier.planner.seen == {"cups.Cup.fill": 1}
    assert amplifier.skipped == {"time": 1}


@pytest.mark.parametrize(
    ("endings", "arms"),
    [
        (["hang"], {"shared": [1, 1], "alone": [1, 1]}),
        (["ok", "hang"], {"shared": [2, 2], "alone": [0, 1]}),
        (["ok", "ok"], {"shared": [1, 2], "alone": [0, 1]}),
    ],
    ids=["slow in one thread too", "shown again with patience", "slow in several threads"],
)
def test_what_was_busy_gets_more_time_before_it_is_called_a_hang(
    amplifier: CommandAmplifier,
    monkeypatch: pytest.MonkeyPatch,
    endings: list[str],
    arms: dict[str, list[int]],
):
    given: list[float] = []

    def run(_trial: object, *, alone: bool, is_marked: bool) -> SimpleNamespace:
        assert not is_marked
        assert alone == (not given)
        given.append(amplifier._settings.child_s)
        return SimpleNamespace(status=endings[len(given) - 1])

    monkeypatch.setattr(amplifier, "_run", run)
    trial: Any = SimpleNamespace(own_name="cups.Cup.fill")
    first = SimpleNamespace(status="hang", is_idle=False)
    assert amplifier._repeat(trial, first) == arms
    assert given == [4, 10][: len(endings)]
    assert amplifier._settings.child_s == 2


def test_what_was_shown_once_is_tried_more_often_with_several_threads_and_with_one(
    amplifier: CommandAmplifier, monkeypatch: pytest.MonkeyPatch
):
    runs: list[bool] = []

    def run(_trial: object, *, alone: bool, is_marked: bool) -> SimpleNamespace:
        assert not is_marked
        runs.append(alone)
        threaded = runs.count(False)
        is_crash = not alone and threaded in {4, 6}
        return SimpleNamespace(status="crash" if is_crash else "ok", answer={})

    monkeypatch.setattr(amplifier, "_run", run)
    trial: Any = SimpleNamespace(own_name="cups.Cup.fill")
    first = SimpleNamespace(status="crash", is_idle=False, answer={})
    assert amplifier._repeat(trial, first) == {"shared": [3, 7], "alone": [0, 6]}
    assert (runs.count(True), runs.count(False)) == (6, 6)


def test_a_trial_is_told_with_the_line_it_was_made_for(
    amplifier: CommandAmplifier, told: list[dict[str, Any]]
):
    amplifier._frame = frame_in("/farm/project/main.py")
    record = {
        "kind": "function",
        "rows": [["cups.pour(1)"]],
        "names": {"cups.pour(1)": "cups.pour"},
        "expressible": True,
        "status": "crash",
        "signal": "SIGSEGV",
        "returned": None,
        "wrong": None,
        "shares": None,
        "arms": {"shared": [3, 3], "alone": [0, 2]},
    }
    amplifier._tell(record)
    amplifier._tell({**record, "expressible": False})
    assert told[0]["line"] == ["main.py", 1, "<module>"]
    assert (told[0]["name"], told[0]["distribution"]) == ("cups.pour", "teacup")
    assert [one["shares"] for one in told] == [False, True]
