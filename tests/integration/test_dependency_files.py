"""`add` and `survey` on the dependency files of real projects, taken from their sdists on the index."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from builder.host import settings as host
from builder.sources.client import Index
from builder.store.store import Store

if TYPE_CHECKING:
    from builder.sources.releases import Release


@dataclass(frozen=True, kw_only=True)
class Case:
    """A project's file, and what was counted in it by hand.

    Attributes:
        native: some that have native code and no pure wheel.
        pure: some that do not.
    """

    project: str
    version: str
    file: str
    pinned: int
    native: frozenset[str]
    pure: frozenset[str]


CASES = [
    Case(
        project="cryptoadvance-specter", version="2.1.11", file="requirements.txt", pinned=72,
        native=frozenset({"cffi", "cryptography", "greenlet", "hidapi", "markupsafe", "numpy", "pandas", "psutil"}),
        pure=frozenset({"flask", "jinja2", "requests", "embit", "stem"}),
    ),
    Case(
        project="snowflake-cli", version="3.31.0", file="pylock.toml", pinned=63,
        native=frozenset({"cffi", "cryptography", "markupsafe", "pydantic-core", "pyyaml"}),
        pure=frozenset({"click", "rich", "typer", "requests"}),
    ),
    Case(
        project="mcp", version="2.3.0", file="uv.lock", pinned=28,
        native=frozenset({"cffi", "cryptography", "pydantic-core", "rpds-py"}),
        pure=frozenset({"anyio", "pydantic", "starlette", "uvicorn"}),
    ),
    Case(
        project="snowflake-cli", version="3.31.0", file="pyproject.toml", pinned=0,
        native=frozenset({"cffi", "cryptography", "markupsafe", "pydantic-core", "pyyaml"}),
        pure=frozenset({"click", "rich", "typer", "requests"}),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    opened = Store(tmp_path_factory.mktemp("dependencies"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def index(store: Store) -> Index:
    return Index(host.index_settings(), store)


def release_of(index: Index, name: str, version: str) -> Release:
    found = next((one for one in index.releases(name) or () if str(one.version) == version), None)
    assert found is not None, f"the index has no {name} {version}"
    return found


def wheelfarm(*arguments: str | Path) -> Any:
    command = [sys.executable, "-m", "builder", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.project}-{case.file}")
def test_a_real_projects_file_goes_through_both(
    case: Case, index: Index, store: Store, tmp_path: Path
):
    release = release_of(index, case.project, case.version)
    assert release.sdist is not None
    file = tmp_path / case.file
    with tarfile.open(store.file(index.download(release.sdist))) as archive:
        member = next(one for one in archive if one.name.split("/", 1)[-1] == case.file)
        content = archive.extractfile(member)
        assert content is not None
        file.write_bytes(content.read())

    surveyed = wheelfarm("survey", file, "--wheelhouse", store.wheelhouse)
    rows = {row["name"]: row for row in surveyed["dependencies"]}
    assert len(rows) == case.pinned if case.pinned else len(rows) >= 20
    assert {name for name in case.native if rows[name]["kind"] == "native"} == case.native
    assert {name for name in case.pure if rows[name]["kind"] == "pure"} == case.pure
    assert surveyed["summary"].startswith(f"{len(rows)} dependencies")
    for row in rows.values():
        _check_wheels(row, index)

    matrix = tmp_path / "matrix.toml"
    added = wheelfarm("add", file, "--matrix", matrix, "--wheelhouse", store.wheelhouse)
    packages = tomllib.loads(matrix.read_text())["packages"]
    assert case.native <= set(packages)
    assert not case.pure & set(packages)
    assert {one["name"] for one in added["left_out"]} | set(packages) >= set(rows)
    text = file.read_text()
    for name, table in packages.items():
        sdist = release_of(index, name, table["version"].removeprefix("==")).sdist
        assert sdist is not None
        assert "sha256" in table or case.file == "pyproject.toml"
        if "sha256" in table:
            assert table["sha256"] == (sdist.digests or {})["sha256"]
            assert table["sha256"] in text
    before = matrix.read_bytes()
    wheelfarm("add", file, "--matrix", matrix, "--wheelhouse", store.wheelhouse)
    assert matrix.read_bytes() == before


def _check_wheels(row: dict[str, Any], index: Index) -> None:
    """Compare what a survey says of wheels with the names on the page, read another way."""
    names = " ".join(
        file.filename for file in release_of(index, row["name"], row["version"]).wheels
    )
    for abi in ("cp314", "cp314t"):
        own = (
            re.search(rf"-(cp314-{abi}|py3-none|py2\.py3-none)-\S*manylinux\S*x86_64", names)
            is not None
        )
        assert (abi in row["wheels"]) == own, names
    assert ("abi3" in row["wheels"]) == (
        re.search(r"-cp3\d+-abi3-\S*manylinux\S*x86_64", names) is not None
    ), names
    assert ("pure" in row["wheels"]) == (re.search(r"py3\S*-none-any\.whl", names) is not None), (
        names
    )


def test_the_resolution_is_that_of_another_resolver(tmp_path: Path):
    """uv, which may not build anything here, agrees on packages that all have wheels."""
    (tmp_path / "limits.txt").write_text("urllib3<2\n")
    file = tmp_path / "requirements.txt"
    file.write_text(
        "aiohttp>=3.9\nboto3\nrequests[socks]\npandas<2.4\nfastapi\nsqlalchemy\njupyterlab<4.5\n-c limits.txt\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        **host.index_settings().environment(),
        "SSL_CERT_FILE": str(host.ca_bundle()),
    }
    command = [
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-build",
        "--no-header",
        "--no-annotate",
        "--python-version",
        "3.14",
    ]
    command += ["--python-platform", "x86_64-manylinux_2_28", str(file)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    pins = dict(line.split("==") for line in done.stdout.split("\n") if "==" in line)
    theirs = {
        str(canonicalize_name(name.partition("[")[0])): version.strip()
        for name, version in pins.items()
    }
    surveyed = wheelfarm("survey", file, "--wheelhouse", tmp_path / "wheelhouse")
    ours = {row["name"]: row["version"] for row in surveyed["dependencies"]}
    assert ours == theirs
