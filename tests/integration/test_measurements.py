"""Scenarios of an application, measured in a container. What is called worse, benchmarks/migration.py shows."""

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

[applications.shop]
lock = "shop.txt"
files = ["shop.py", "service.py"]

[applications.shop.scenarios.equal]
call = "shop:work"
threads = [1]

[applications.shop.scenarios.served]
serve = "python service.py {port}"

[applications.shop.scenarios.command]
command = "python -c 'import shop; shop.work()'"

[applications.shop.scenarios.broken]
command = "exit 7"
"""

PLANTED = """
def work():
    return sorted(range(2000), reverse=True)
"""

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
def shop(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    workshop = Workshop(root=tmp_path_factory.mktemp("measurements"))
    workshop.write(MATRIX, "pebble")
    (workshop.root / "shop.txt").write_text("pebble==1.0\n")
    (workshop.root / "shop.py").write_text(PLANTED)
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


def test_a_service_is_put_under_load(shop: Workshop):
    ended = measure(shop, "--scenario", "served", *OWN, "--rounds", "3", "--json")
    metrics = read_metrics(ended, "served")
    assert {"p50", "throughput", "cpu", "start", "rss", "rss_peak"} <= metrics.keys(), ended.stderr
    assert all(metric["value"] > 0 for metric in metrics.values())


def test_a_command_has_a_duration_and_one_that_fails_says_why(shop: Workshop):
    ended = measure(shop, "--scenario", "command", *OWN, "--rounds", "3", "--json")
    assert {"duration", "cpu", "rss_peak"} == read_metrics(ended, "command").keys()
    broken = measure(shop, "--scenario", "broken", *OWN, "--rounds", "3")
    assert broken.returncode == ExitCode.UNDETERMINED
    assert "the command ended with exit code 7" in broken.stdout


def test_the_report_has_a_page_and_the_last_measurement_is_shown_again(shop: Workshop):
    measure(shop, "--scenario", "equal", *OWN, "--rounds", "3")
    page = (shop.wheelhouse / "report" / "measurements.html").read_text()
    assert "<h3>equal</h3>" in page
    last = measure(shop, "--last")
    assert "cp314t/1" in last.stdout
    assert sys.executable not in last.stdout


@pytest.mark.comparisons
def test_what_is_compared_with_is_compiled_and_the_jit_is_turned_on_and_off(shop: Workshop):
    """Compiles CPython 3.13, and 3.14 with the JIT: minutes."""
    ended = measure(shop, "--scenario", "equal", "--rounds", "3", "--json")
    (part,) = json.loads(ended.stdout)["measurements"]
    assert set(part["lacking"]) == {"cp313"}, "pebble is built from a local sdist"
    variants = {one["name"]: one["version"] for one in part["scenarios"][0]["variants"]}
    assert {"cp314/1", "cp314t/1", "cp314-jit off/1", "cp314-jit on/1"} == variants.keys()
