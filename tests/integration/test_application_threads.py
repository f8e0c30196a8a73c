"""Native calls of an application's smoke commands, made by several threads: what breaks is named, what does not is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.engine.programs import program_files
from builder.errors import ExitCode
from builder.evidence.application import ApplicationFacts
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.teacup]
sdist = "teacup-1.0.tar.gz"

[applications.tearoom]
lock = "tearoom.txt"
files = ["room"]
smoke = ["python -m room", "python room/quiet.py", "python -I -c 'import sys; print(sys.path[-1:])'", "echo open"]
"""

ROOM = """
import sys, teacup

def serve(cup):
    for amount in range(20):
        cup.fill(amount)

cup = teacup.Cup()
serve(cup)
print("served", cup.fill(0))
print("tidy", [name for name in sys.modules if name.split(".")[0] == "inside"], file=sys.stderr)
"""

QUIET = """
import threading, teacup

lock = threading.Lock()
cup = teacup.Cup()
for times in range(20):
    assert cup.stir(times) == 2 * times
with lock:
    cup.fill(3)
"""


@pytest.fixture(scope="module")
def tearoom(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("tearoom"))
    shop.write(MATRIX, "teacup")
    folder = shop.root / "room"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__main__.py").write_text(ROOM)
    (folder / "quiet.py").write_text(QUIET)
    (shop.root / "tearoom.txt").write_text("teacup==1.0\n")
    ended = shop.run("--effort", "quick")
    assert ended.returncode in {ExitCode.ADMISSIBLE, ExitCode.FAULTS}, ended.stdout + ended.stderr
    return shop


@pytest.fixture
def answers(tearoom: Workshop) -> dict[str, dict[str, Any]]:
    """Return what verdicts.json has of the application, by ABI."""
    document = json.loads((tearoom.wheelhouse / "verdicts.json").read_text())
    return {part["abi"]: part for part in document["applications"]}


@pytest.fixture
def facts(tearoom: Workshop) -> dict[str, ApplicationFacts]:
    """Return what is on record of the application, by ABI."""
    read: dict[str, ApplicationFacts] = {}
    with Store(tearoom.wheelhouse) as store:
        for abi in ("cp314", "cp314t"):
            job = JobId(JobKind.APPLICATION, "tearoom", abi, "debian-12")
            query = "SELECT key FROM evidence WHERE job = ? ORDER BY rowid DESC LIMIT 1"
            row = store.database.fetch_one(query, (str(job),))
            assert row is not None
            evidence = store.get(row[0])
            assert evidence is not None
            read[abi] = ApplicationFacts.read(evidence)
    return read


def test_the_call_that_threads_break_is_named_with_its_line(answers: dict[str, dict[str, Any]]):
    part = answers["cp314t"]
    assert part["verdict"] == "ready with risks", part
    broken = [risk for risk in part["risks"] if risk["code"]]
    assert [(risk["package"], risk["code"]) for risk in broken] == [("teacup", "WF701")]
    assert "`python -m room` calls Cup.fill() (at room/__main__.py:6 in serve" in broken[0]["what"]
    assert "the process dies (SIGABRT)" in broken[0]["what"]
    assert "do not share this object" in broken[0]["remedy"]
    assert "what broke is listed" in part["threads"]
    assert "`echo open`: no Python process" in part["threads"]


def test_nothing_is_tried_where_threads_run_one_at_a_time(
    answers: dict[str, dict[str, Any]], facts: dict[str, ApplicationFacts]
):
    assert answers["cp314"]["verdict"] == "ready"
    assert answers["cp314"]["threads"] == ""
    assert facts["cp314"].amplified == ()


def test_what_threads_do_not_break_or_a_lock_protects_stays_silent(
    facts: dict[str, ApplicationFacts],
):
    quiet = facts["cp314t"].amplified[1]
    assert quiet.command == "python room/quiet.py"
    assert quiet.events == ()
    assert quiet.returned >= 1
    assert quiet.skipped["lock"] >= 1


def test_a_watched_command_does_what_it_did(
    tearoom: Workshop, facts: dict[str, ApplicationFacts], answers: dict[str, dict[str, Any]]
):
    plain, watched = facts["cp314t"].smoke, facts["cp314t"].amplified
    assert [run.exit_code for run in plain] == [run.exit_code for run in watched] == [0, 0, 0, 0]
    assert [run.processes for run in watched] == [1, 1, 1, 0]
    log = (tearoom.wheelhouse / answers["cp314t"]["log"]).read_text()
    first = log.split("$ (watched) python -m room\n")[1]
    assert first.startswith(plain[0].output)
    assert "tidy []" in plain[0].output


def test_programs_that_watch_are_there_only_where_they_are_needed():
    assert not any("/smoke/" in path for path in program_files("application"))
    assert any(Path(path).name == "begin.py" for path in program_files("smoke"))
