"""The programs of this package, as they are laid into a container."""

import compileall
from pathlib import Path

PROGRAMS = Path(__file__).parents[2]
"""The folder that `inside` is in: processes are started there, and so find this package."""


def compile_programs() -> None:
    """Compile the programs once: a process of a package may not write beside them, and each would compile them anew."""
    compileall.compile_dir(PROGRAMS / "inside", quiet=2)
