"""Scenarios of an application, measured in a container: slow-downs that were planted, and equal interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from builder.errors import ExitCode
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.pebble]
sdist = "pebble-1.0.tar.gz"

[applications.planted]
lock = "planted.txt"
files = ["planted.py", "service.py"]

[applications.planted.scenarios.slower_by_8]
call = "planted:work_longer_by_8"
threads = [1]

[applications.planted.scenarios.slower_by_2]
call = "planted:work_longer_by_2"
threads = [1]

[applications.planted.scenarios.equal]
call = "planted:work"
threads = [1]

[applications.planted.scenarios.served]
serve = "python service.py {port}"

[applications.planted.scenarios.command]
command = "python -c 'import planted; planted.work()'"

[applications.planted.scenarios.broken]
command = "exit 7"
"""

PLANTED = """
import sysconfig
import time

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
CALL_S = 0.002

def work(share=1.0):
    end = time.perf_counter() + CALL_S * share
    while time.perf_counter() < end:
        pass

def work_longer_by_8():
    work(1.08 if IS_FREE_THREADED else 1.0)

def work_longer_by_2():
    work(1.02 if IS_FREE_THREADED else 1.0)
"""
"""Calls that wait for the clock, so that they take the same with every interpreter, but for what is planted."""

SERVICE = """
import http.server
import sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

OWN = ("--interpreter", "cp314", "--interpreter", "cp314t")


@pytest.fixture(scope="module")
def planted(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    workshop = Workshop(root=tmp_path_factory.mktemp("measurements"))
    workshop.write(MATRIX, "pebble")
    (workshop.root / "planted.txt").write_text("pebble==1.0\n")
    (workshop.root / "planted.py").write_text(PLANTED)
    (workshop.root / "service.py").write_text(SERVICE)
    ended = workshop.run()
    assert ended.returncode == ExitCode.ADMISSIBLE, ended.stdout + ended.stderr
    return workshop


def measure(workshop: Workshop, *options: str) -> subprocess.CompletedProcess[str]:
    command = workshop.command(*options, name="measure")
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_metrics(ended: subprocess.CompletedProcess[str], scenario: str) -> dict[str, Any]:
    """Return the metrics of the free-threaded interpreter, by name."""
    (part,) = json.loads(ended.stdout)["measurements"]
    scenarios = {one["name"]: one for one in part["scenarios"]}
    variants = {one["name"]: one for one in scenarios[scenario]["variants"]}
    return {metric["name"]: metric for metric in variants["cp314t/1"]["metrics"]}


@pytest.mark.parametrize(
    ("scenario", "is_worse"),
    [("slower_by_8", True), ("slower_by_2", False), ("equal", False)],
)
def test_a_planted_slow_down_is_flagged_if_it_clears_the_threshold(
    planted: Workshop,
    scenario: str,
    is_worse: bool,  # noqa: FBT001 - what is expected
):
    ended = measure(planted, "--scenario", scenario, *OWN, "--json")
    p50 = read_metrics(ended, scenario)["p50"]["comparison"]
    assert (p50["answer"] == "worse") is is_worse, ended.stdout + ended.stderr
    if is_worse:
        assert ended.returncode == ExitCode.FAULTS


def test_a_service_is_put_under_load(planted: Workshop):
    ended = measure(planted, "--scenario", "served", *OWN, "--rounds", "3", "--json")
    metrics = read_metrics(ended, "served")
    assert {"p50", "throughput", "cpu", "start", "rss", "rss_peak"} <= metrics.keys(), ended.stderr
    assert all(metric["value"] > 0 for metric in metrics.values())


def test_a_command_has_a_duration_and_one_that_fails_says_why(planted: Workshop):
    ended = measure(planted, "--scenario", "command", *OWN, "--rounds", "3", "--json")
    assert {"duration", "cpu", "rss_peak"} == read_metrics(ended, "command").keys()
    broken = measure(planted, "--scenario", "broken", *OWN, "--rounds", "3")
    assert broken.returncode == ExitCode.UNDETERMINED
    assert "the command ended with exit code 7" in broken.stdout


def test_the_report_has_a_page_and_the_last_measurement_is_shown_again(planted: Workshop):
    measure(planted, "--scenario", "equal", *OWN, "--rounds", "3")
    page = (planted.wheelhouse / "report" / "measurements.html").read_text()
    assert "<h3>equal</h3>" in page
    last = measure(planted, "--last")
    assert "cp314t/1" in last.stdout
    assert sys.executable not in last.stdout


def test_what_is_compared_with_is_compiled_and_the_jit_is_turned_on_and_off(planted: Workshop):
    """Compiles CPython 3.13, and 3.14 with the JIT: minutes."""
    ended = measure(planted, "--scenario", "equal", "--rounds", "3", "--json")
    (part,) = json.loads(ended.stdout)["measurements"]
    assert set(part["lacking"]) == {"cp313"}, "pebble is built from a local sdist"
    variants = {one["name"]: one["version"] for one in part["scenarios"][0]["variants"]}
    assert {"cp314/1", "cp314t/1", "cp314-jit off/1", "cp314-jit on/1"} == variants.keys()
