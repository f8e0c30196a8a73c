"""The system packages that an application is tried with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

from builder.config import catalog, matrix
from builder.farm.applications import _Farm
from builder.judge.application import LockedPackage

MATRIX = """
[packages.pyodbc]
apt-run = ["libodbc2"]
[packages.elsewhere]
apt-run = ["libelse1"]
[applications.shop]
lock = "uv.lock"
apt = { debian = ["libshop1"] }
"""


def test_an_application_has_what_its_locked_packages_need_of_the_system():
    loaded = matrix.parse(tomllib.loads(MATRIX), Path("matrix.toml"))
    nothing = cast("Any", None)
    farm = _Farm(matrix=loaded, store=nothing, packages={}, served={}, index=nothing)
    locked = [LockedPackage(name=name, version="1.0") for name in ("pyodbc", "plain")]
    application = loaded.applications["shop"]

    def find(base: str) -> tuple[str, ...]:
        return farm._find_system_packages(application, locked, catalog.load().bases[base])

    assert find("debian-12") == ("libodbc2", "libshop1")
    assert find("ubuntu-24.04") == ("libodbc2",)
