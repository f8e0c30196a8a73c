"""Delays of threads: what luck decides is shown with them, and what is safe stays silent."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from builder.engine.programs import program_files
from builder.engine.tasks import Limits, Task
from builder.jobs.images.ids import role_image_id
from builder.jobs.programs import STRESS_FOLDER
from tests.corpus import CORPUS
from tests.integration.conftest import Workshop, image_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.engine.client import Engine

COMPILE = """
set -e
for source in settingsbox/_settings aliasbook; do
  mkdir -p "/result/$(dirname $source)"
  gcc -O2 -fPIC -shared -I/opt/python/cp314-cp314t/include/python3.14t \\
    "/source/$(basename $source).c" -o "/result/$source.so"
done
"""

SEARCH = """
import json
from inside.stress.proof import schedule_search
from inside.stress.process.interpreter import Interpreter
from inside.stress.proof.reproducer import Prover
from inside.supervise.work_clock import CLOCK

def make_scenario(make, *rows):
    return {
        "kind": "pair", "make": make, "argument": None, "rows": [[[text, None]] for text in rows],
        "observe": [], "sharing": "shared", "iterations": 400, "threads": 4,
    }

def is_shown(run):
    return not run.what.isdisjoint({"crash", "hang", "wrong"})

interpreter = Interpreter("/opt/python/cp314-cp314t/bin/python", "/site", patience_s=10)
prover = Prover(interpreter, ["settingsbox", "aliasbook"], set(), rounds=20, deadline=CLOCK.now() + 120)
faulty = make_scenario(
    "settingsbox.Settings({'k': bytes(40)})", "s.get('k')", "s.set('k', bytes(40))"
)
safe = make_scenario("aliasbook.Book()", "s.assign('k', 'v' + str(id(s)))", "s.resolve('k')")
answers = {"plain": prover.count(faulty, is_shown, 4)[1:3]}
best = schedule_search.count_best(prover, faulty, is_shown, 4)
answers["delayed"] = best[1:3]
answers["has_delays"] = "delays" in best.scenario
answers["safe"] = []
for trial in schedule_search.iter_delayed(prover, safe):
    run = prover.run(trial)
    answers["safe"].append([sorted(run.what), "Traceback" in run.output])
open("/result/answers.json", "w").write(json.dumps(answers))
"""


def run_task(engine: Engine, task: Task, folder: Path) -> Mapping[str, bytes]:
    log = folder / "log"
    ended = engine.run(task, log=log, stop=threading.Event())
    assert ended.exit_code == 0, log.read_text()
    return ended.output


def test_what_luck_decides_is_shown_with_delays_and_what_is_safe_is_not(
    images: Workshop, engine: Engine, tmp_path: Path
):
    threads = CORPUS / "threads"
    compiled = run_task(
        engine,
        Task(
            image=image_of(images, role_image_id("builder", "debian-12")),
            command=["sh", "-c", COMPILE],
            files={
                "/source/_settings.c": (threads / "settingsbox/src/_settings.c").read_bytes(),
                "/source/aliasbook.c": (threads / "aliasbook/src/aliasbook.c").read_bytes(),
            },
            collect="/result",
            user="root",
        ),
        tmp_path,
    )
    site = {f"/site/{path.removeprefix('result/')}": code for path, code in compiled.items()}
    package = threads / "settingsbox/src/settingsbox/__init__.py"
    written = run_task(
        engine,
        Task(
            image=image_of(images, role_image_id("verify", "debian-12")),
            command=["/opt/python/cp314-cp314t/bin/python", "/farm/search.py"],
            files={
                **site,
                "/site/settingsbox/__init__.py": package.read_bytes(),
                "/farm/search.py": SEARCH.encode(),
                **program_files("stress", STRESS_FOLDER),
            },
            environment={"PYTHONPATH": STRESS_FOLDER},
            collect="/result/answers.json",
            limits=Limits(memory_bytes=4 << 30, timeout_s=300),
        ),
        tmp_path,
    )
    answers = json.loads(next(iter(written.values())))
    assert answers["has_delays"], answers
    assert answers["delayed"][0] > answers["plain"][0], answers
    assert answers["delayed"][0] >= 3, answers
    assert answers["safe"] == [[[], False]] * len(answers["safe"]), answers
    assert len(answers["safe"]) > 1
