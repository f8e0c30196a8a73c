import datetime
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.version import Version
from rich.console import Console

from builder.dependencies.files.model import DependencyFile, SkippedDependency
from builder.dependencies.gather import Survey
from builder.dependencies.survey import (
    ReleaseMetadata,
    Status,
    SurveyRow,
    summarize,
    survey_release,
    wheel_floors,
)
from builder.report.terminal import dependencies as report
from builder.sources.index_file import IndexFile
from builder.sources.kind import Kind, holds_native_sources
from builder.sources.releases import Release

PYTHON = Version("3.14.5")
LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"
NONE = ReleaseMetadata()


def release(version: str, *files: str, python: str | None = None, yanked: bool = False) -> Release:
    listed = [name.format(v=version) for name in files]
    return Release(
        version=Version(version),
        files=tuple(
            IndexFile(
                filename=name, url=f"http://127.0.0.1/{name}", project="x", version=version,
                package_type="wheel" if name.endswith(".whl") else "sdist", digests={},
                requires_python=python, is_yanked=yanked,
            )
            for name in listed
        ),
    )  # fmt: skip


SDIST = "x-{v}.tar.gz"
CP314 = f"x-{{v}}-cp314-cp314-{LINUX}.whl"
CP314T = "x-{v}-cp314-cp314t-manylinux_2_28_x86_64.whl"
CP312 = f"x-{{v}}-cp312-cp312-{LINUX}.whl"
ABI3 = f"x-{{v}}-cp39-abi3-{LINUX}.whl"
PURE = "x-{v}-py3-none-any.whl"


def judged(asked: Release, *others: Release, kind: Kind = Kind.NATIVE) -> SurveyRow:
    releases = sorted((asked, *others), key=lambda one: one.version, reverse=True)
    return survey_release(
        name="x", where="requirements.txt:1", release=asked, releases=releases, kind=kind, python=PYTHON,
        described=NONE, newest_described=NONE,
    )  # fmt: skip


def statuses(row: SurveyRow) -> list[tuple[Status, str]]:
    return [(outlook.status, outlook.upgrade) for outlook in row.outlooks.values()]


@pytest.mark.parametrize(
    ("files", "floors"),
    [
        ((CP314, CP314T), {"cp314": "manylinux_2_17", "cp314t": "manylinux_2_28"}),
        (
            (f"x-{{v}}-cp314-cp314-{LINUX}.whl", "x-{v}-cp314-cp314-manylinux2010_x86_64.whl"),
            {"cp314": "manylinux_2_12"},
        ),
        ((ABI3,), {"abi3": "manylinux_2_17"}),
        (("x-{v}-cp315-abi3-manylinux_2_28_x86_64.whl",), {}),
        (("x-{v}-cp315-abi3.abi3t-manylinux_2_28_x86_64.whl",), {"abi3t": "manylinux_2_28"}),
        (("x-{v}-cp315-cp315t-manylinux_2_28_x86_64.whl",), {"cp315": "manylinux_2_28"}),
        ((PURE,), {"pure": "any"}),
        (("x-{v}-py2-none-any.whl",), {}),
        (
            ("x-{v}-py3-none-manylinux_2_17_x86_64.whl",),
            dict.fromkeys(("cp314", "cp314t", "cp315"), "manylinux_2_17"),
        ),
        (("x-{v}-cp314-cp314-linux_x86_64.whl",), {"cp314": "any"}),
        (("x-{v}-cp314-cp314-win_amd64.whl", "x-{v}-cp314-cp314-musllinux_1_2_x86_64.whl"), {}),
        (("x-{v}-cp314-cp314-manylinux_2_17_aarch64.whl", CP312), {}),
        (("nonsense.whl", "x-{v}-<b>-none-any.whl"), {}),
    ],
)
def test_what_a_release_serves_and_from_which_glibc_on(
    files: Iterable[str], floors: dict[str, str]
):
    assert wheel_floors(release("1.0", *files)) == floors


def test_every_way_to_stand_towards_a_move():
    ready = release("1.0", SDIST, CP314, CP314T)
    assert statuses(judged(ready)) == [(Status.READY, ""), (Status.READY, "")]
    old = release("1.0", SDIST, CP312)
    assert (
        statuses(judged(old, release("1.1", CP314), release("2.0", CP314, CP314T)))
        == [(Status.UPGRADE, "2.0")] * 2
    )
    stable_abi = judged(release("1.0", SDIST, ABI3))
    assert statuses(stable_abi) == [(Status.READY, ""), (Status.BUILD, "")]
    assert stable_abi.outlooks["3.14t"].blockers == ("abi3 wheels do not serve 3.14t",)
    half = judged(release("1.0", SDIST, CP314))
    assert half.outlooks["3.14t"].blockers == ("wheels for cp314 only",)
    assert (
        statuses(judged(release("1.0", CP312), release("1.1", SDIST)))
        == [(Status.BUILD, "1.1")] * 2
    )
    assert statuses(judged(release("1.0", CP312))) == [(Status.BLOCKED, "")] * 2
    assert (
        statuses(judged(release("2.0", CP312), release("1.0", SDIST, CP314, CP314T)))
        == [(Status.BLOCKED, "")] * 2
    )


def test_requires_python_counts_before_wheels():
    refused = release("1.0", SDIST, PURE, python="<3.13")
    row = judged(refused, kind=Kind.PURE)
    assert statuses(row) == [(Status.BLOCKED, "")] * 2
    assert row.outlooks["3.14"].blockers[0] == "requires-python <3.13"
    assert (
        statuses(judged(refused, release("1.1", PURE), kind=Kind.PURE))
        == [(Status.UPGRADE, "1.1")] * 2
    )


def test_prereleases_and_yanked_releases_are_no_upgrade():
    old = release("1.0", CP312)
    row = judged(old, release("2.0rc1", CP314, CP314T), release("1.5", CP314, CP314T, yanked=True))
    assert statuses(row) == [(Status.BLOCKED, "")] * 2
    assert row.newest == "1.0"


def test_a_pure_wheel_beside_native_ones_serves_and_is_remarked():
    row = judged(release("1.0", SDIST, CP314, PURE), kind=Kind.SPEEDUPS)
    assert statuses(row) == [(Status.READY, "")] * 2
    assert [outlook.remark for outlook in row.outlooks.values()] == [
        "",
        "pure wheel, without its native part",
    ]


def test_a_pure_sdist_without_a_wheel_is_ready():
    assert statuses(judged(release("1.0", SDIST), kind=Kind.PURE)) == [(Status.READY, "")] * 2
    assert statuses(judged(release("1.0", SDIST), kind=Kind.NATIVE)) == [(Status.BUILD, "")] * 2


def test_the_newest_release_with_each_abi():
    row = judged(
        release("1.0", CP312),
        release("1.1", CP314, ABI3),
        release("1.2", CP314T),
        release("1.3", CP312),
    )
    assert row.newest_with == {"cp314": "1.1", "cp314t": "1.2", "abi3": "1.1"}
    assert row.newest == "1.3"


def test_the_free_threading_classifier():
    prefix = "Programming Language :: Python :: "
    assert (
        ReleaseMetadata(
            classifiers=(f"{prefix}3", f"{prefix}Free Threading :: 2 - Beta")
        ).free_threading
        == "2 - Beta"
    )
    assert ReleaseMetadata(classifiers=(f"{prefix}Free Threading",)).free_threading == "stated"
    both = (f"{prefix}Free Threading", f"{prefix}Free Threading :: 3 - Stable")
    assert ReleaseMetadata(classifiers=both).free_threading == "3 - Stable"
    assert NONE.free_threading == ""


def test_the_sentence_the_table_and_the_json(tmp_path: Path):
    rows = (
        judged(release("1.0", SDIST, CP314), kind=Kind.NATIVE),
        judged(release("1.0", PURE), kind=Kind.PURE),
    )
    assert summarize(rows) == (
        "2 dependencies, 1 pure and 1 native: for 3.14 2 ready as pinned; "
        "for 3.14t 1 ready as pinned, 1 to be built from source."
    )
    hostile = SkippedDependency(name="[red]x\x1b[2J", why="<b>[bold]\x1b]0;title\x07", where="r:1")
    found = Survey(rows=rows, left_out=(hostile,), notes=("a [link] \x1b[31m",))
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    report.print_survey(console, found, datetime.date(2026, 1, 1))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "[red]x" in text
    assert "<b>[bold]" in text
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\x1b[31m" not in text
    file = DependencyFile(
        path=tmp_path / "requirements.txt", format="requirements.txt", dependencies=()
    )
    record = json.loads(json.dumps(report.survey_json(file, found)))
    assert record["schema_version"] == 1
    assert record["counts"]["3.14t"] == {"ready": 1, "upgrade": 0, "build": 1, "blocked": 0}
    assert record["dependencies"][0]["wheels"] == {"cp314": "manylinux_2_17"}


@pytest.mark.parametrize(
    ("member", "native"),
    [
        ("x-1/src/x/_x.c", True),
        ("x-1/Cargo.toml", True),
        ("x-1/x/_x.pyx", True),
        ("x-1/tests/data/x.c", False),
        ("x-1/docs/example/CMakeLists.txt", False),
        ("x-1/x/__init__.py", False),
    ],
)
def test_native_sources_in_an_sdist(tmp_path: Path, member: str, native: bool):  # noqa: FBT001 - a parameter of the test
    path = tmp_path / "x-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(member))
    assert holds_native_sources(path, path.name) is native
