"""What is left of a run that ended badly, and of a disk that is full."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from builder import index
from builder.errors import ExitCode, NoSpaceError, WheelhouseLockedError
from builder.execute import LocalExecutor
from builder.jobs.build.log import find_infrastructure_problem
from builder.plan.graph import Plan
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.unit.execute.test_executor import ROOM, Step, Watcher
from tests.unit.wheels import add_wheel

STARTED = "Starting container image wheelfarm/builder-debian-12:0123...\n"
LIMITS = "wheelfarm-limits: processes-refused=0 memory-kills=0 memory-peak-bytes=1\n"


FULL = STARTED + "gcc: No space left on device\n" + LIMITS


@pytest.mark.parametrize(
    ("log", "disk_was_full", "why"),
    [
        (STARTED + "error: oh\n" + LIMITS, False, None),
        ("cibuildwheel: Malformed environment option\n", False, None),
        (STARTED + "gcc -c x.c\nError response from daemon\n", False, "was killed"),
        (STARTED + "error: oh\n" + LIMITS, True, "the disk is full"),
        (FULL, True, "the disk is full"),
        (FULL, False, None),  # anybody can print that
        (FULL, None, "the disk is full"),  # an engine on another machine: nobody can see its disk
    ],
)
def test_what_is_no_fault_of_the_package_is_told(
    log: str,
    disk_was_full: bool | None,  # noqa: FBT001 - a column of the table above
    why: str | None,
):
    found = find_infrastructure_problem(log, disk_was_full=disk_was_full)
    assert found is None if why is None else found is not None and why in found


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def fill(store: Store) -> None:
    """Leave the ledger no room to grow."""
    pages = (store.database.fetch_one("PRAGMA page_count") or (0,))[0]
    store.database.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_ends_a_run_with_what_to_do_and_keeps_what_was_finished(store: Store):
    ran: list[str] = []
    store.put(Evidence(key="kept", job=JobId.parse("build:kept")))
    fill(store)
    steps = (
        Step("build:a", ran, facts={"much": "x" * 1_000_000}),
        Step("build:b", ran, ("build:a",)),
    )
    plan = Plan(jobs={step.id: cast("Any", step) for step in steps})
    executor = LocalExecutor(
        plan, store, Watcher(), cast("Any", object), resources=ROOM, stop=threading.Event()
    )
    with pytest.raises(NoSpaceError, match="wheelfarm gc") as caught:
        executor.run()
    assert caught.value.exit_code is ExitCode.UNDETERMINED
    assert ran == ["build:a"]
    assert store.get("kept") is not None
    store.database.execute("PRAGMA max_page_count = 1000000")
    ended = LocalExecutor(
        plan, store, Watcher(), cast("Any", object), resources=ROOM, stop=threading.Event()
    ).run()
    assert all(evidence.is_determined for evidence in ended.values())
    assert ran == ["build:a", "build:a", "build:b"]


def test_the_scratch_of_a_killed_farm_is_removed_by_the_next(tmp_path: Path):
    wheelhouse = tmp_path / "wheelhouse"
    program = (
        "import sys, os, pathlib; from builder.store.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "with store.lock(), store.scratch_folder() as folder:\n"
        "    (folder / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(wheelhouse)], check=False)
    assert list((wheelhouse / "store/scratch").rglob("half"))
    store = Store(wheelhouse)
    with store.lock():
        assert not (wheelhouse / "store/scratch").exists()
        with (
            Store(wheelhouse) as second,
            pytest.raises(WheelhouseLockedError, match="process"),
            second.lock(),
        ):
            pass
    store.close()


def test_what_a_killed_publication_left_goes_with_the_next(store: Store):
    name = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
    content = index.make_manifest([index.Entry(filename=name, sha256=add_wheel(store, name))])
    index.publish(content, store)
    root = store.wheelhouse / "simple"
    before = {path.relative_to(root) for path in root.rglob("*")}
    (root / ".published").unlink()
    for left in (root / ".index.html.abc", root / "foo" / f".{name}.abc"):
        left.write_text("half")
    index.publish(content, store)
    assert {path.relative_to(root) for path in root.rglob("*")} == before
