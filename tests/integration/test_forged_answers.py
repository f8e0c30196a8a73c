"""A wheel whose modules attack the program that loads them, in the container where that happens: none is believed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from builder.engine import containment
from builder.engine.client import Engine
from builder.engine.programs import program_files
from builder.engine.tasks import Limits, Task
from builder.evidence.load import AbiLoad, LoadAnswers
from builder.jobs.images.ids import role_image_id
from builder.judge.loads import judge_load
from tests.integration.conftest import Workshop, image_of
from tests.unit.evidence.test_program_answers import write_wheel

PYTHON = "/opt/python/cp314-cp314t/bin/python"
TURNS_GIL_ON = b"""
#include <Python.h>
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "_gilly", 0, -1, 0};
PyMODINIT_FUNC PyInit__gilly(void) { return PyModule_Create(&def); }
"""
HIDES_IT = b"""
import gc, sys, types
real, false = sys._is_gil_enabled, lambda *_: False
sys._is_gil_enabled = false
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        if value is real or "gil" in name and callable(value):
            frame.f_locals[name] = false
    frame = frame.f_back
for function in gc.get_objects():
    if isinstance(function, types.FunctionType):
        for cell in function.__closure__ or ():
            try:
                if cell.cell_contents is real: cell.cell_contents = false
            except ValueError:
                pass
from . import _gilly
"""
MODULES = {
    "liar/__init__.py": HIDES_IT,
    "leaver.py": b"import os; os._exit(0)",
    "hider.py": b"import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)",
    "killer.py": b"""
import os
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        try: os.kill(int(name), 9)
        except OSError: pass
assert not os.access(__file__, os.W_OK) and not os.access(os.path.dirname(__file__), os.W_OK)
assert os.getuid() >= 20000 and os.getgroups() == []
for path in ("/farm/load.json", "/inside/load/load.py", "/farm/request.json", __file__, "/proc/1/mem"):
    try: open(path, "a")
    except OSError: continue
    raise SystemError(path)
if not os.fork():
    os.setsid()
    import time; time.sleep(600)
""",
}
"""Modules of the wheel: what each of them does."""


def run(engine: Engine, folder: Path, task: Task) -> bytes:
    ended = engine.run(task, log=folder / "log", stop=threading.Event())
    assert ended.exit_code == 0, (folder / "log").read_text()
    return next(iter(ended.output.values()))


@pytest.fixture(scope="module")
def loaded(
    images: Workshop, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what loading the wheel showed."""
    folder = tmp_path_factory.mktemp("forged")
    compile_command = "mkdir -p /tmp/out && gcc -shared -fPIC -I/opt/python/cp314-cp314t/include/python3.14t -o /tmp/out/m.so /farm/m.c"
    library = run(engine, folder, Task(
        image=image_of(images, role_image_id("builder", "debian-12")), command=["sh", "-c", compile_command],
        files={"/farm/m.c": TURNS_GIL_ON}, collect="/tmp/out", user="nobody", limits=Limits(timeout_s=100),
    ))  # fmt: skip
    wheel = write_wheel(
        folder, "liar", {**MODULES, "liar/_gilly.cpython-314t-x86_64-linux-gnu.so": library}
    )
    index = "/farm/index/simple"
    request = {
        "abi": "cp314t",
        "python": PYTHON,
        "requirement": "liar==1.0",
        "index": f"file://{index}/",
    }
    files = {
        f"{index}/liar/{wheel.name}": wheel.read_bytes(),
        f"{index}/liar/index.html": f'<a href="{wheel.name}">{wheel.name}</a>'.encode(),
        "/farm/request.json": json.dumps([request]).encode(),
        **program_files("load"),
    }
    answer = run(engine, folder, Task(
        image=image_of(images, role_image_id("verify", "debian-12")), files=files, collect="/farm/load.json", user="root",
        command=[PYTHON, "-m", "inside.load", "/farm/request.json", "/farm/load.json"],
        kind=containment.SUPERVISED, limits=Limits(timeout_s=200),
    ))  # fmt: skip
    (load,) = LoadAnswers.parse(answer).answers
    told = load.to_json()
    for name in request:
        told.pop(name)
    return {**told, "wheel": wheel.name, "claimed": True, "missing": []}


def test_what_is_said_of_the_gil_does_not_count_against_what_is_seen(loaded: dict[str, Any]):
    probes = {probe["module"]: probe for probe in loaded["modules"]}
    assert probes["liar"]["gil"]["after"] is False  # that is what the package made of it
    assert probes["liar"]["gil"]["seen"] == "on"
    assert probes["hider"]["gil"]["seen"] == "hidden"
    assert probes["killer"]["gil"]["seen"] == "off"
    codes = {(one.code, one.where) for one in judge_load(AbiLoad.model_validate(loaded), "liar")}
    assert {("WF501", "liar"), ("WF508", "liar"), ("WF508", "hider"), ("WF402", "leaver")} <= codes


def test_no_process_of_the_package_reaches_its_supervisor(loaded: dict[str, Any]):
    (killer,) = [probe for probe in loaded["modules"] if probe["module"] == "killer"]
    assert killer.get("error") is None
    assert loaded["walk"]["lines"]
