"""Ctrl-C, and a farm that dies: the next run goes on from what was finished, and no container is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from tests.integration.conftest import DEBIAN, Workshop, containers_of, networks_of

MATRIX = (
    DEBIAN
    + '[packages.steady]\nsdist = "steady-1.0.tar.gz"\n[packages.endless]\nsdist = "endless-1.0.tar.gz"\n'
)
PATIENCE_S = 180


def until(what: str, shop: Workshop, process: subprocess.Popen[bytes]) -> None:
    """Wait for a line of the farm's output."""
    deadline = time.monotonic() + PATIENCE_S
    while what not in (shop.root / "output.txt").read_text():
        assert process.poll() is None, (shop.root / "output.txt").read_text()
        assert time.monotonic() < deadline, (shop.root / "output.txt").read_text()
        time.sleep(0.2)


def until_none(engine: Engine, farm_id: str) -> None:
    """Wait for the last container and network of a farm to go."""
    deadline = time.monotonic() + PATIENCE_S
    while containers_of(engine, farm_id) or networks_of(engine, farm_id):
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_container_and_the_next_goes_on(
    images: Workshop, workshop: Workshop, engine: Engine, number: signal.Signals
):
    assert images
    workshop.write(MATRIX, "steady", "endless")
    with (workshop.root / "output.txt").open("wb") as output:
        process = subprocess.Popen(workshop.command(), stdout=output, stderr=output)
    until("ok     load:steady@debian-12/debian-13", workshop, process)
    until("start  build:endless", workshop, process)
    while not containers_of(engine, workshop.farm_id()):
        time.sleep(0.2)
    os.kill(process.pid, number)
    code = process.wait(PATIENCE_S)
    assert code == (ExitCode.INTERRUPTED if number is signal.SIGINT else -signal.SIGKILL)
    if number is signal.SIGINT:
        assert containers_of(engine, workshop.farm_id()) == []
    else:
        until_none(engine, workshop.farm_id())
    assert networks_of(engine, workshop.farm_id()) == []

    (workshop.root / "matrix.toml").write_text(MATRIX.partition("[packages.endless]")[0])
    ended = workshop.run()
    for kind in ("image", "build", "load"):
        assert f"start  {kind}:" not in ended.stdout, ended.stdout + ended.stderr
    assert workshop.verdicts()["steady"]["abis"]["cp314"]["verdict"] == "compatible"


def test_two_farms_do_not_share_a_wheelhouse(images: Workshop, workshop: Workshop):
    assert images
    workshop.write(MATRIX, "steady", "endless")
    with (workshop.root / "output.txt").open("wb") as output:
        process = subprocess.Popen(workshop.command(), stdout=output, stderr=output)
    try:
        until("jobs:", workshop, process)
        second = workshop.run()
        assert second.returncode == ExitCode.LOCKED
        assert f"process {process.pid}" in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
