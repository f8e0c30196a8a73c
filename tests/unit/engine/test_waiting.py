"""How the end of a container is waited for."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from requests.exceptions import ConnectionError as NoAnswerError
from requests.exceptions import ReadTimeout

from builder.engine.client import Engine
from builder.engine.tasks import Limits
from builder.errors import Interrupted


class FakeContainer:
    """A container that ends after some time, and an engine that is too late with its answer until then."""

    def __init__(self, seconds: float) -> None:
        self.id = "1"
        self.status = "running"
        self.was_killed = False
        self._ends_at = time.monotonic() + seconds
        self._refusals = [NoAnswerError("read timed out"), ReadTimeout("read timed out")]

    def wait(self, *, timeout: float) -> None:
        left = self._ends_at - time.monotonic()
        time.sleep(max(0.0, min(left, timeout)))
        if left > timeout:
            refusal = self._refusals.pop()
            self._refusals.insert(0, refusal)
            raise refusal

    def reload(self) -> None:
        if time.monotonic() >= self._ends_at:
            self.status = "exited"

    def kill(self) -> None:
        self.was_killed = True


def wait_for(container: FakeContainer, stop: threading.Event, **limits: Any) -> Any:
    storage = SimpleNamespace(read_free_space=lambda: None)
    engine = cast("Any", SimpleNamespace(_client=None, _storage=storage))
    return Engine._wait(engine, cast("Any", container), Limits(**limits), stop)


def test_an_end_is_noticed_when_it_comes():
    """The longer a container runs, the longer were the pauses between two looks at it."""
    began = time.monotonic()
    end = wait_for(FakeContainer(1.1), threading.Event())
    assert time.monotonic() - began < 1.3
    assert not end.timed_out


def test_limits_and_the_wish_to_stop_are_looked_at_meanwhile():
    container = FakeContainer(60)
    assert wait_for(container, threading.Event(), timeout_s=0.1).timed_out
    assert container.was_killed

    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        wait_for(FakeContainer(60), stop)
