"""The system packages that an application is tried with."""

from __future__ import annotations

import tomllib
from pathlib import Path

from builder.config import catalog, matrix
from builder.farm.application_files import find_system_packages

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


def test_an_application_has_what_its_locked_packages_need_of_the_system():
    loaded = matrix.parse(tomllib.loads(MATRIX), Path("matrix.toml"))
    application = loaded.applications["shop"]

    def find(base: str, *names: str) -> tuple[str, ...]:
        return find_system_packages(loaded, application, names, catalog.load().bases[base])

    assert find("debian-12", "pyodbc", "plain") == ("libodbc2", "libshop1")
    assert find("ubuntu-24.04", "pyodbc", "plain") == ("libodbc2",)
    assert find("ubuntu-24.04", "pyodbc==2.0", "plain") == ("libodbc3",)
