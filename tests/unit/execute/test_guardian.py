"""The process that removes the containers of a farm that was killed."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from builder.engine import connection
from builder.execute import guardian


class Engine:
    """Notes which runs' containers were removed."""

    def __init__(self) -> None:
        self.reaped: list[str] = []

    def reap_run(self, run_id: str) -> None:
        self.reaped.append(run_id)


def end_farm(said: bytes, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Run the guardian's program as if the farm had said this before its pipe was closed."""
    engine = Engine()
    monkeypatch.setattr(connection, "connect", lambda: engine)
    monkeypatch.setattr(guardian, "_PAUSE_S", 0.0)
    monkeypatch.setattr(sys, "argv", ["guardian", "unix:///none.sock", "run-1"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(said)))
    monkeypatch.setenv("DOCKER_HOST", "")
    guardian.main()
    return engine


def test_a_farm_that_ends_in_order_keeps_its_containers_to_itself(monkeypatch: pytest.MonkeyPatch):
    assert end_farm(b"done\n", monkeypatch).reaped == []


@pytest.mark.parametrize("said", [b"", b"do"])
def test_the_containers_of_a_killed_farm_are_removed_more_than_once(
    said: bytes, monkeypatch: pytest.MonkeyPatch
):
    reaped = end_farm(said, monkeypatch).reaped
    assert set(reaped) == {"run-1"}
    assert len(reaped) > 1  # one may show up after the first look


def test_the_guardian_ends_with_the_block(monkeypatch: pytest.MonkeyPatch):
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **settings: Any) -> Any:
        started.append(real(*arguments, **settings))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with guardian.guard_containers("unix:///none.sock", "run-1"):
        assert started[0].poll() is None
    assert started[0].returncode == 0


def test_a_guardian_that_somebody_ended_does_no_harm(monkeypatch: pytest.MonkeyPatch):
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **settings: Any) -> Any:
        started.append(real(*arguments, **settings))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with guardian.guard_containers("unix:///none.sock", "run-1"):
        started[0].kill()
        started[0].wait()
