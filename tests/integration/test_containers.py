"""The rules every container of the farm is held to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from builder.engine.client import Engine, Limits, Task, TaskResult
from tests.integration.conftest import Workshop, containers_of

LOOK = """
import json, os, pathlib, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    network = True
except OSError:
    network = False
json.dump({
    "user": os.getuid(), "capabilities": int(status["CapEff"].strip(), 16), "locked": status["NoNewPrivs"].strip(),
    "network": network, "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "host": os.path.exists("/host"), "given": pathlib.Path("/farm/given").read_text(),
}, open("/result/seen.json", "w"))
"""


@pytest.fixture
def image(images: Workshop) -> str:
    import sqlite3

    with sqlite3.connect(images.wheelhouse / "store/ledger.sqlite") as database:
        row = database.execute(
            "SELECT facts FROM evidence WHERE job = 'image:verify-debian-12'"
        ).fetchone()
    database.close()
    return str(json.loads(row[0])["tag"])


def run(
    engine: Engine, tmp_path: Path, image: str, code: str, limits: Limits | None = None
) -> TaskResult:
    task = Task(
        image=image,
        command=["/opt/python/cp314-cp314/bin/python", "-c", code],
        files={"/farm/given": b"a file"},
        collect="/result",
        limits=limits or Limits(),
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert containers_of(engine, engine.farm_id) == []
    return ended


def test_a_task_is_nobody_sees_nothing_and_reaches_nothing(
    engine: Engine, tmp_path: Path, image: str
):
    ended = run(engine, tmp_path, image, LOOK)
    assert ended.exit_code == 0, (tmp_path / "log").read_text()
    assert json.loads(ended.output["result/seen.json"]) == {
        "user": 4242, "capabilities": 0, "locked": "1", "network": False, "interfaces": ["lo"], "host": False,
        "given": "a file",
    }  # fmt: skip


def test_time_memory_and_processes_are_limited(engine: Engine, tmp_path: Path, image: str):
    ended = run(engine, tmp_path, image, "import time; time.sleep(60)", Limits(timeout_s=2))
    assert ended.timed_out
    ended = run(engine, tmp_path, image, "x = b'x' * (1 << 30)", Limits(memory_bytes=64 << 20))
    assert ended.exit_code != 0
    assert "memory-kills=1" in (tmp_path / "log").read_text()
    many = "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    ended = run(engine, tmp_path, image, many, Limits(processes=20))
    assert "can't start new thread" in (tmp_path / "log").read_text()


def test_a_stopped_farm_leaves_nothing(engine: Engine, tmp_path: Path, image: str):
    from builder.errors import Interrupted

    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    task = Task(image=image, command=["sleep", "60"])
    with pytest.raises(Interrupted):
        engine.run(task, log=tmp_path / "log", stop=stop)
    assert containers_of(engine, engine.farm_id) == []


def test_the_reaper_clears_what_was_left(engine: Engine, image: str):
    other = Engine(engine._client, engine.address, "a-farm-that-died")
    engine._client.containers.run(
        image, ["sleep", "60"], detach=True, labels={"wheelfarm.farm": "a-farm-that-died"}
    )
    assert len(containers_of(engine, "a-farm-that-died")) == 1
    assert other.reap() == 1
    assert containers_of(engine, "a-farm-that-died") == []
