"""Attacks by a package's own tests on the judgement about it. One run has all of them, and takes minutes.

The tests run in several threads at once, also under the race detector. The packages that race do so in tests alone, so
that nothing else can see it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builder.store.job_ids import JobKind
from builder.store.store import Store
from tests.hostile.attack import Attack, Site, World
from tests.hostile.attacks.building import TWICE, make_module, module_name, place, project_files

Make = Callable[[Site], str]

RACY = ("racy",)
SILENCED = ("racy", "undetermined")
"""What keeps the detector from being heard is never `compatible`."""

_RACES_IN_TESTS = """
    static long count;
    if (getenv("PYTEST_CURRENT_TEST") != NULL) { count = count + 1; }
    return PyLong_FromLong(count);
"""

_CALLS = """
import os
import @NAME@

@HELP@

def test_it():
    for number in range(2000):
        @NAME@.twice(number)
    @AFTER@
"""

_TAKE_BACK = """
def take_back():
    for top in (os.path.expanduser("~"), os.getcwd(), "/tmp"):
        for folder, _, names in os.walk(top):
            for name in names:
                if "report" in name:
                    try:
                        os.truncate(os.path.join(folder, name), 0)
                        os.unlink(os.path.join(folder, name))
                    except OSError:
                        pass
"""

_SILENCE = """
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
"""

_REPLACE = """
import shutil, signal, subprocess, sys, threading

def replace():
    '''End the process if the installed wheel can be changed, but not where the tests run in one thread.'''
    if threading.active_count() == 1:
        return
    own = @NAME@.__file__
    site = os.path.dirname(own)
    acts = (
        lambda: open(own, "r+b").close(),
        lambda: open(own + ".new", "wb").close(),
        lambda: os.rename(own, own + ".old"),
        lambda: os.chmod(site, 0o777),
        lambda: open(os.path.join(site, "sitecustomize.py"), "w").close(),
        lambda: os.symlink("/tmp", os.path.join(site, "linked")),
        lambda: os.rename(site, site + ".old"),
    )
    for act in acts:
        try:
            act()
        except OSError:
            continue
        os.kill(os.getpid(), signal.SIGSEGV)
"""


def with_tests(after: str = "", help_code: str = "", twice: str = _RACES_IN_TESTS) -> Make:
    """Return a maker of a package with own tests.

    Args:
        after: Python that a test runs when it has made its calls.
        help_code: Python at the top of the tests.
        twice: C of the function that they call.
    """

    def make(site: Site) -> str:
        own = module_name(site.name)
        files = project_files(site.name, module=make_module(site.name, twice=twice))
        # What is on an index under the package's own name is not to be tested in its place.
        extra = f'[project.optional-dependencies]\ntest = ["{site.name}>=2"]\n'
        files["pyproject.toml"] += extra.encode()
        text = _CALLS.replace("@HELP@", help_code).replace("@AFTER@", after or "pass")
        files["tests/test_it.py"] = text.replace("@NAME@", own).encode()
        return place(site, files)

    return make


def check_tests_ran(world: World) -> None:
    """The tests ran, under the race detector too: without them nothing was attacked."""
    with Store(world.wheelhouse) as store:
        for evidence in store.newest_evidence_of(world.site.name):
            if evidence.job.kind in {JobKind.RACE, JobKind.EXERCISE}:
                tests = evidence.facts["own_tests"]
                assert tests is not None, f"{evidence.job} ran no tests"
                assert tests["ran"], f"{evidence.job}: {tests}"
                if evidence.job.kind == JobKind.RACE:
                    assert tests["passed"] == 1, f"{evidence.job}: {tests}"


def _attack(name: str, make: Make, verdicts: tuple[str, ...], **fields: Any) -> Attack:
    return Attack(
        name=name,
        kind="sdist",
        make=make,
        verdicts=verdicts,
        checked="the verdict",
        check=check_tests_ran,
        **{"point": "10", "seconds": 1200.0, **fields},
    )


ATTACKS = (
    _attack("races-in-its-tests", with_tests(), RACY, codes=("WF605",)),
    _attack(
        "takes-its-reports-back", with_tests("take_back()", _TAKE_BACK), RACY, codes=("WF605",)
    ),
    _attack(
        "silences-its-tests", with_tests(help_code=_SILENCE), SILENCED, codes=("WF605", "WF622")
    ),
    _attack(
        "replaces-its-wheel",
        with_tests("replace()", _REPLACE, TWICE),
        ("compatible",),
        point="medium",
    ),
)
