"""Threads: a fault is found, proven and replayed; a safe package is not blamed; a broken detector has no voice."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.config import matrix
from builder.config.effort import EffortLevel
from builder.engine.client import Engine
from builder.engine.programs import program_files
from builder.engine.tasks import Limits, Task
from builder.farm import prepare
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Tools
from builder.jobs.programs import STRESS_FOLDER
from builder.jobs.threads import sanitizer_build
from builder.judge import speed
from builder.proxy.proxy import IndexProxy
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.corpus import CORPUS
from tests.integration.conftest import Workshop, image_of
from tests.job_ids import inputs_of, job_id

HEAD = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\n'
PREFLIGHT = """
import json
from inside.stress.play import canaries
canaries.SANITIZER_PATIENCE_S = 5
real = "/opt/race/tree/bin/python"
answers = {
    "whole": canaries.check_canaries(real, 4),
    "sanitizer off": canaries.check_canaries("/opt/python/cp314-cp314t/bin/python", 4),
    "one thread": canaries.check_canaries(real, 1),
}
canaries._CANARIES = "/nowhere"
answers["canary removed"] = canaries.check_canaries(real, 4)
open("/result/answers.json", "w").write(json.dumps(answers))
"""

FAULTS = {"WF601", "WF603", "WF604", "WF605"}
"""What a race and the harm that it does are told as: one finding, with the code of the gravest that was seen."""


def unlocked(shop: Workshop) -> str:
    """Write a patch that takes the lock out of a safe package's append, and return its name."""
    path = Path("src/spanbuf.c")
    before = (CORPUS / "threads" / "spanbuf" / path).read_text()
    after = before.replace("PyMutex_Lock(&self->mutex);", "").replace(
        "PyMutex_Unlock(&self->mutex);", ""
    )
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    (shop.root / "unlocked.patch").write_text("".join(lines))
    return "unlocked.patch"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, images: Workshop) -> Workshop:
    """Return a workshop where a safe package and three faulty ones were put under threads."""
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("threads"))
    tables = "".join(
        f'[packages.{name}]\nsdist = "{name}-{version}.tar.gz"\n'
        for name, version in (
            ("spanbuf", "0.4.4"),
            ("hexview", "1.0"),
            ("telegrapher", "3.0.0"),
            ("tearoff", "1.2"),
        )
    )
    shop.write(HEAD + tables, "spanbuf", "hexview", "telegrapher", "tearoff")
    ended = shop.run("--effort", "quick")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return shop


def test_a_fault_is_proven_and_a_safe_package_is_not_blamed(done: Workshop):
    packages = done.verdicts()
    safe = packages["spanbuf"]["abis"]["cp314t"]
    assert safe["verdict"] == "compatible", safe
    assert safe["exercised"]["race_detector"]
    assert 2 * safe["exercised"]["under_threads"] >= safe["exercised"]["native_callables"] > 0
    faulty = packages["hexview"]["abis"]["cp314t"]
    # Wrong results are a matter of chance, the race is not. Nothing is shared but the package's own static buffer.
    assert faulty["verdict"] in {"racy", "thread-unsafe"}, faulty
    safety = faulty["thread_safety"]
    assert safety["level"] == "compatible", safety
    assert "nothing" in {row["needs"] for row in safety["callables"]}
    assert FAULTS & {finding["code"] for finding in faulty["findings"]}
    assert packages["hexview"]["abis"]["cp314"]["verdict"] == "compatible"


def test_what_only_its_own_tests_can_make_is_put_under_threads(done: Workshop):
    part = done.verdicts()["telegrapher"]["abis"]["cp314t"]
    assert part["verdict"] in {"racy", "thread-unsafe"}, part
    assert part["exercised"]["amplified"] > 0
    assert part["exercised"]["pairs"] > 0
    named = [f"{finding['where']} {finding['detail']}" for finding in part["findings"]]
    assert any("note_station" in text for text in named), named


def test_memory_that_is_freed_under_a_reader_is_seen_in_a_build_that_strips_symbols(done: Workshop):
    findings = done.verdicts()["tearoff"]["abis"]["cp314t"]["findings"]
    freed = [finding for finding in findings if finding["code"] == "WF604"]
    named = [f"{finding['where']} {finding['detail']}" for finding in freed]
    assert any("letters" in text and "tear" in text for text in named), findings


def test_a_finding_is_replayed_by_its_id(done: Workshop):
    findings = done.verdicts()["hexview"]["abis"]["cp314t"]["findings"]
    raced = next(
        finding
        for finding in findings
        if finding["code"] in FAULTS and " replay " in finding["replay"]
    )
    command = [
        sys.executable, "-m", "builder", *raced["replay"].split()[1:], "--times", "3", "--json",
        "--matrix", str(done.root / "matrix.toml"), "--wheelhouse", str(done.wheelhouse),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["runs"], answer["shown"] >= 1) == (3, True)
    script = subprocess.run(
        [*command[:4], raced["id"], "--script", *command[-2:]],
        capture_output=True,
        text=True,
        check=False,
    )
    compile(script.stdout, "replay.py", "exec")


def test_a_wheel_built_elsewhere_is_put_under_threads_by_check(done: Workshop, tmp_path: Path):
    (built,) = done.verdicts()["hexview"]["abis"]["cp314t"]["wheels"]
    store = Store(done.wheelhouse)
    wheel = Path(shutil.copy(store.file(built["sha256"]), tmp_path / built["filename"]))
    store.close()
    sdist = done.root / "hexview-1.0.tar.gz"
    command = [
        sys.executable, "-m", "builder", "check", str(wheel), str(sdist), "--threads", "--effort", "quick",
        "--matrix", str(done.root / "matrix.toml"), "--json",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    (checked,) = json.loads(ended.stdout)["wheels"]

    trial = checked["threads"]
    assert (trial["abi"], trial["base"], trial["reason"]) == ("cp314t", "debian-12", "")
    assert trial["exercised"]["race_detector"]
    assert trial["exercised"]["under_threads"] > 0
    assert FAULTS & {finding["code"] for finding in checked["findings"]}
    assert ended.returncode == 1, ended.stderr


def test_taking_one_lock_away_turns_the_verdict(done: Workshop):
    matrix = f'{HEAD}[packages.spanbuf]\nsdist = "spanbuf-0.4.4.tar.gz"\npatches = ["{unlocked(done)}"]\n'
    (done.root / "unlocked.toml").write_text(matrix)
    command = done.command("--effort", "quick", "--json")
    command[command.index("--matrix") + 1] = str(done.root / "unlocked.toml")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    part = json.loads(ended.stdout)["packages"][0]["abis"]["cp314t"]
    assert part["verdict"] == "distinct", ended.stderr
    assert part["thread_safety"]["level"] == "distinct", part["thread_safety"]
    assert "no two threads use the same object" in part["reason"]
    assert {finding["needs"] for finding in part["findings"]} - {None} == {"shared object"}


def test_a_broken_detector_says_so(done: Workshop, engine: Engine, tmp_path: Path):
    image = image_of(done, role_image_id("race", "debian-12"))
    task = Task(
        image=image,
        command=["/opt/python/cp314-cp314t/bin/python", "/farm/check.py"],
        files={
            "/farm/check.py": PREFLIGHT.encode(),
            **program_files("stress", STRESS_FOLDER),
        },
        environment={"PYTHONPATH": STRESS_FOLDER},
        collect="/result/answers.json",
        limits=Limits(memory_bytes=4 << 30, timeout_s=200),
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    answers = json.loads(next(iter(ended.output.values())))
    assert answers.pop("whole") == {
        "racy_seen": True,
        "freed_seen": True,
        "clean_silent": True,
    }
    assert {name for name, seen in answers.items() if not seen["racy_seen"]} == {
        "sanitizer off", "one thread", "canary removed",
    }  # fmt: skip


INLINED = """
namespace outer {
struct Table {
    int rows = 0;
    __attribute__((always_inline)) void grow(int by) { rows += by; }
};
}
extern "C" void enter(outer::Table *table) { table->grow(2); }
"""
SYMBOLIZE = r"""
set -eu
cd /tmp
wheelfarm-clang++ -fsanitize=thread -O1 $1 -fPIC -shared /farm/a.cpp -o a.so
first=$(nm -S a.so | sed -n 's/^\([0-9a-f]*\) \([0-9a-f]*\) . enter$/\1 \2/p')
start=$((0x${first% *})) size=$((0x${first#* })) offset=0
while [ $offset -lt $size ]; do printf '0x%x\n' $((start + offset)); offset=$((offset + 1)); done > addresses
mkdir -p /result
llvm-symbolizer --obj=a.so --inlines < addresses > /result/names
"""


def test_reports_name_inlined_functions_in_full_and_their_lines(
    done: Workshop, engine: Engine, tmp_path: Path
):
    task = Task(
        image=image_of(done, role_image_id("race", "debian-12")),
        command=["sh", "-c", SYMBOLIZE, "sh", sanitizer_build.NAMES_AND_LINES],
        files={"/farm/a.cpp": INLINED.encode()},
        collect="/result/names",
        limits=Limits(timeout_s=60),
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert ended.exit_code == 0, (tmp_path / "log").read_text()
    named = next(iter(ended.output.values())).decode()
    assert "outer::Table::grow(int)\n/farm/a.cpp:5:" in named
    assert "\nenter\n/farm/a.cpp:8:" in named


class Quiet:
    """Is told what happens and says nothing."""

    def say(self, text: str) -> None:
        return

    def on_plan(self, jobs: int, known: int) -> None:
        return

    def on_job_start(self, job: JobId) -> None:
        return

    def on_job_message(self, job: JobId, text: str) -> None:
        return

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        return


def test_the_speed_of_what_was_learnt_is_measured_with_and_without_the_gil(
    done: Workshop, engine: Engine, tmp_path: Path
):
    store = Store(done.wheelhouse)
    asked = matrix.load(done.root / "matrix.toml")
    plans = {
        level: prepare.prepare(
            asked, store, prepare.RunRequest(only=["spanbuf"], effort=level), Quiet()
        ).plan
        for level in (EffortLevel.QUICK, EffortLevel.STANDARD)
    }
    known = plans[EffortLevel.QUICK].find_evidence(lambda _, key: store.get(key))
    job = plans[EffortLevel.STANDARD].jobs[job_id("speed:spanbuf@debian-12")]
    tools = Tools(
        engine=engine,
        store=store,
        index=IndexProxy(engine, store),
        log=tmp_path / "log",
        stop=threading.Event(),
        say=Quiet().say,
    )
    facts = json.loads(json.dumps(job.run(inputs_of(job, known), tools).facts.to_json()))
    store.close()
    assert (facts["unknown"], facts["install"], facts["gil"], facts["left_out"].get("ends")) == (
        None,
        None,
        False,
        None,
    )
    assert {"spanbuf" in call["native"] for call in facts["calls"]} == {True}
    for one in (facts["plain"], *facts["calls"]):
        assert list(one["rates"]) == ["cp314t", "cp314"]
        assert {tuple(rates) for rates in one["rates"].values()} == {("1", "2", "4")}
    judged = speed.judge_speed(Evidence(key="s", job=job.id, facts=facts))
    assert judged is not None
    # Throughput takes CPUs that are free; CPU time can be told on a busy machine too, if it is not too busy.
    assert (
        judged.why if judged.cost is None else 0.3 < judged.cost.low < judged.cost.high + 0.01 < 30
    )
