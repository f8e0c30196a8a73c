"""Rounds of readings, and how a command or a service is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builder.evidence.measurement import MeasurementAnswer
from builder.inside.measure import measure, meter, service
from builder.inside.measure.load import LoadError
from builder.inside.measure.variant import Variant
from builder.inside.supervise.accounts import OWN
from builder.inside.supervise.output import Output
from builder.inside.supervise.process import PackageProcess

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """What looks like a virtual environment: its interpreter is the one that runs the tests."""
    folder = tmp_path / "environment" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    return folder.parent


def make_variant(environment: Path, name: str, **variables: str) -> Variant:
    return Variant(
        name=name,
        environment=environment,
        project=str(environment.parent),
        variables=variables,
        threads=1,
    )


def test_every_variant_is_measured_in_every_round_and_the_first_sets_the_work(environment: Path):
    (environment.parent / "wheelfarm_bakery.py").write_text("def bake(): pass\n")
    variants = [make_variant(environment, name) for name in ("one", "two")]
    request = {"rounds": 2, "seconds": 0.01, "limit_s": 60.0}
    scenario = {"name": "bake", "call": "wheelfarm_bakery:bake"}
    measured = measure.measure_scenario(scenario, variants, request)

    assert measured["name"] == "bake"
    assert measured["failures"] == {}
    assert [set(readings) for readings in measured["rounds"]] == [{"one", "two"}] * 2
    answer = MeasurementAnswer.check({"errors": {}, "scenarios": [measured]})
    (readings,) = answer.scenarios
    counts = [{reading.count for reading in round_.values()} for round_ in readings.rounds]
    assert counts[0] == counts[1]
    assert len(counts[0]) == 1


@pytest.mark.parametrize(("most", "is_answered"), [(40, True), (39, False)], ids=str)
def test_latencies_are_answered_up_to_a_limit(
    environment: Path,
    most: int,
    is_answered: bool,  # noqa: FBT001 - what is expected
):
    (environment.parent / "wheelfarm_oven.py").write_text(
        "import time\ndef bake(): time.sleep(0.001)\n"
    )
    request = {"rounds": 2, "seconds": 0.0, "limit_s": 60.0}
    scenario = {"name": "bake", "call": "wheelfarm_oven:bake"}
    measured = measure.measure_scenario(scenario, [make_variant(environment, "one")], request, most)
    readings = [round_["one"] for round_ in measured["rounds"]]
    assert [reading["count"] for reading in readings] == [20, 20]
    assert ["latencies_s" in reading for reading in readings] == [is_answered] * 2


def test_a_variant_that_fails_twice_is_left_out_and_says_why(environment: Path):
    variants = [
        make_variant(environment, "works", EXIT="0"),
        make_variant(environment, "fails", EXIT="3"),
    ]
    request = {"rounds": 4, "seconds": 0.01, "limit_s": 60.0}
    scenario = {"name": "end", "command": "exit $EXIT"}
    measured = measure.measure_scenario(scenario, variants, request)

    assert [list(readings) for readings in measured["rounds"]] == [["works"]] * 4
    assert measured["failures"] == {"fails": "the command ended with exit code 3"}


def test_no_round_begins_after_the_limit(environment: Path):
    request = {"rounds": 4, "seconds": 0.01, "limit_s": -1.0}
    scenario = {"name": "end", "command": "exit 0"}
    measured = measure.measure_scenario(scenario, [make_variant(environment, "one")], request)
    assert measured["rounds"] == []


def test_a_function_that_raises_is_an_error_with_what_was_printed(environment: Path):
    (environment.parent / "wheelfarm_fire.py").write_text("def bake(): raise OSError('no flour')\n")
    variant = make_variant(environment, "one")
    reading = measure.measure_once(
        {"name": "bake", "call": "wheelfarm_fire:bake"}, variant, None, 0.01
    )
    assert reading["error"].startswith("exit code 1; it printed: ")
    assert "OSError: no flour" in reading["error"]


def test_a_command_has_the_cpu_time_and_the_memory_of_what_it_waited_for(tmp_path: Path):
    command = f"{sys.executable} -c 'x = bytearray(80 << 20); sum(range(2_000_000))'"
    metrics = meter.run({"project": str(tmp_path), "command": command})["metrics"]
    assert 0.01 < metrics["cpu"] <= metrics["duration"] + 0.05
    assert metrics["rss_peak"] > 80 << 20


def start(command: list[str], folder: Path) -> PackageProcess:
    return PackageProcess(
        command, account=OWN, environment={}, folder=str(folder), output=Output(1000, 1000)
    )


def test_a_service_is_asked_until_it_answers(tmp_path: Path):
    port = service.find_free_port()
    with start([sys.executable, "-c", SERVER, str(port)], tmp_path) as process:
        assert service.await_answer(process, port, "/") > 0


@pytest.mark.parametrize(
    ("program", "path", "complaint"),
    [
        (SERVER, "/closed", "it answered /closed with status 404"),
        ("raise SystemExit(7)", "/", "it ended with exit code 7 before it answered"),
    ],
    ids=["status", "end"],
)
def test_a_service_that_does_not_answer_says_why(
    tmp_path: Path, program: str, path: str, complaint: str
):
    port = service.find_free_port()
    with (
        start([sys.executable, "-c", program, str(port)], tmp_path) as process,
        pytest.raises(LoadError, match=complaint),
    ):
        service.await_answer(process, port, path)
