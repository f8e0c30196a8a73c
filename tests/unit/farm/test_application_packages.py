"""The system packages that an application is tried with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

from builder.config import catalog, matrix
from builder.farm.applications import _Farm
from builder.judge.package import JudgedPackage
from builder.sources import Fault

MATRIX = """
[packages.pyodbc]
apt-run = ["libodbc2"]
[packages."pyodbc==2.0"]
apt-run = ["libodbc3"]
[packages.elsewhere]
apt-run = ["libelse1"]
[applications.shop]
lock = "uv.lock"
apt = { debian = ["libshop1"] }
"""


def judged(name: str) -> JudgedPackage:
    fault = Fault(name=name, code="WF101", detail="")
    return JudgedPackage(name=name, version="1.0", source=fault, abis={})


def test_an_application_has_what_its_locked_packages_need_of_the_system():
    loaded = matrix.parse(tomllib.loads(MATRIX), Path("matrix.toml"))
    nothing = cast("Any", None)
    farm = _Farm(matrix=loaded, store=nothing, packages={}, served={}, index=nothing)
    application = loaded.applications["shop"]

    def find(base: str, *names: str) -> tuple[str, ...]:
        packages = [judged(name) for name in names]
        return farm._find_system_packages(application, packages, catalog.load().bases[base])

    assert find("debian-12", "pyodbc", "plain") == ("libodbc2", "libshop1")
    assert find("ubuntu-24.04", "pyodbc", "plain") == ("libodbc2",)
    assert find("ubuntu-24.04", "pyodbc==2.0", "plain") == ("libodbc3",)
