"""Attacks on what the farm keeps between runs: each has two, in one wheelhouse, with a change in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.hostile.attack import Attack, Site
from tests.hostile.attacks.building import module_name, place, project_files

AUTHOR = "cache-author"
"""A build requirement of the package that is looked at. It is hostile in the first run, and replaced before the second."""

_LEAVE = b"""
import os
def leave():
    folder = os.environ["CCACHE_DIR"]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "left-behind"), "w") as file:
        file.write("an object file of another author")
"""

_LEAVE_NOTHING = b"""
def leave():
    pass
"""

_LOOK = f"""
import os, sys
sys.path.insert(0, os.getcwd())
if os.path.exists(os.path.join(os.environ["CCACHE_DIR"], "left-behind")):
    sys.exit("the compiler cache has what a requirement left there that is no longer installed")
import {module_name(AUTHOR)}_tool
{module_name(AUTHOR)}_tool.leave()
"""


def requiring(requirement: str, attack: str) -> Callable[[Site], str]:
    """Return a maker of a package that needs another one to be built, and runs Python meanwhile."""

    def make(site: Site) -> str:
        files = project_files(site.name, attack=attack)
        wanted = f'requires = ["{requirement}"]'.encode()
        files["pyproject.toml"] = files["pyproject.toml"].replace(b"requires = []", wanted)
        return place(site, files)

    return make


def tool(code: bytes) -> Callable[[Site], str]:
    """Return a maker of a build requirement, with a module of Python."""

    def make(site: Site) -> str:
        payload = {f"{module_name(AUTHOR)}_tool.py": code}
        return place(site, project_files(site.name, payload=payload))

    return make


def replace_author(site: Site) -> None:
    tool(_LEAVE_NOTHING)(replace(site, name=AUTHOR))


ATTACKS = (
    Attack(
        name="cache-heir",
        point="medium",
        kind="sdist",
        make=requiring(AUTHOR, _LOOK),
        companions={AUTHOR: tool(_LEAVE)},
        later=replace_author,
        verdicts=("compatible",),
        checked="the next build",
        seconds=300.0,
    ),
)
