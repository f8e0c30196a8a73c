"""Unpack a distribution's own tests, and install what they import."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...supervise.accounts import take_account
from ...supervise.folders import make_folder, open_folder
from ..package import installing, unpacking
from . import kit


class Stage:
    """A distribution's sdist and tests, unpacked, with what they need beside them."""

    def __init__(
        self, request: dict[str, Any], sdist: str | None, scratch: Path, *, compiles: bool
    ) -> None:
        """Unpack the tests, and install what they need.

        Args:
            request: has `python`, `sdist`, `wheels`, `name` and `tests` (see owntests.py).
            sdist: the folder that the sdist is unpacked in; None where there is none.
            scratch: an empty folder.
            compiles: whether to compile all that is installed: that takes longer than compiling what is imported once,
                unless a sanitizer imports it.
        """
        self.sdist = sdist
        self.home = scratch / "home"
        self.tools = scratch / installing.TOOLS
        self.tests: Path | None = None
        self.has_pytest = False
        self.account = take_account()
        make_folder(self.home)
        if request["sdist"] is None:
            return

        folder = self.home / "tests"
        if unpacking.unpack_apart(self.account, request["sdist"], scratch / "sdist", folder) == 0:
            self.tests = folder
        asked = request.get("kit")
        if asked is not None:
            python, wheels, tools = request["python"], request["wheels"], str(self.tools)
            chosen = kit.choose_requirements(
                take_account(), folder, wheels, list(asked["requirements"])
            )
            requirements = ["pytest", *chosen]
            options = () if compiles else ("--no-compile",)
            if installing.install(python, requirements, wheels, tools, *options):
                installing.install_each(python, requirements, wheels, tools, *options)
            self.has_pytest = (self.tools / "pytest").is_dir()


@contextlib.contextmanager
def open_stage(
    request: dict[str, Any], sdist: str | None, *, compiles: bool = True
) -> Iterator[Stage]:
    """Give a Stage, and remove it afterwards; the arguments are those of Stage."""
    with open_folder(is_writable=False) as scratch:
        yield Stage(request, sdist, scratch, compiles=compiles)
