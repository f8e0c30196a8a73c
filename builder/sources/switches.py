"""Variables of the environment by which a build makes native code on request only, as its files name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.distributions.members import NotAnSdistError, iter_members

if TYPE_CHECKING:
    from pathlib import Path

_TEXT_BYTES = 1 << 20
"""Most that is read of setup.py and the like: they are written by hand, so far above any; not measured."""

_MAX_SWITCHES = 3  # one is usual

_VARIABLE = re.compile(
    rb"""(?:\benviron(?:\.get)?\s{0,9}[\[(]|\bgetenv\()\s{0,99}["'](?P<read>[A-Z][A-Z0-9_]{2,60})["']
    |["'](?P<looked_for>[A-Z][A-Z0-9_]{2,60})["']\s{1,9}in\s{1,9}(?:os\.)?environ\b""",
    re.VERBOSE,
)
"""Where a program reads a variable: `os.environ.get("FOO_USE_MYPYC")`, `os.getenv("…")`, `"…" in os.environ`."""

_TURNS_ON = re.compile(
    r"MYPYC|CYTHON|CFFI|RUST|NATIVE|SPEEDUP|ACCEL|COMPIL|EXTENSION|_EXT\b|_C_?EXT|USE_C\b|BUILD_C\b"
)
_TURNS_OFF = re.compile(
    r"(?:^|_)(?:NO|NOT|DISABLE|DISABLED|WITHOUT|SKIP|PURE|IGNORE|DEBUG|TRACE|COVERAGE)(?:_|$)"
)
"""What the name of such a variable has in it, and what those have that turn native code off, or tune it."""

_HATCH_HOOK = re.compile(
    rb"^\[tool\.hatch\.build\.(?:targets\.wheel\.)?hooks\.(?P<hook>[\w-]{1,60})\]\s*$"
    rb"(?:\n(?!\[).*){0,30}?\n\s*enable-by-default\s*=\s*false\b",
    re.MULTILINE,
)
"""A hook of hatch's builds that runs on request only (hatch's documentation, "Build hooks")."""


def find_switches(sdist: Path, filename: str) -> tuple[str, ...]:
    """Return the variables that turn native code on, as setup.py and its like name them; empty where none is seen.

    Nothing runs: `os.environ.get("FOO_USE_MYPYC")` in setup.py -> `("FOO_USE_MYPYC",)`.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    switches: dict[str, None] = {}
    try:
        for member in iter_members(sdist, filename):
            is_short = member.size <= _TEXT_BYTES
            if is_short and _is_build_script(member.inner_path or member.name):
                content = member.read(_TEXT_BYTES)
                switches.update(dict.fromkeys(_find_in_script(content)))
    except NotAnSdistError:
        return ()  # what is wrong with it is a finding of its own

    return tuple(switches)[:_MAX_SWITCHES]


def _is_build_script(path: str) -> bool:
    """Return whether a file may decide what is built: a program or pyproject.toml at the top of an sdist."""
    return "/" not in path and (path.endswith(".py") or path == "pyproject.toml")


def _find_in_script(content: bytes) -> list[str]:
    switches: list[str] = []
    for match in _VARIABLE.finditer(content):
        name = (match["read"] or match["looked_for"]).decode()
        if _TURNS_ON.search(name) and not _TURNS_OFF.search(name):
            switches.append(name)
    for match in _HATCH_HOOK.finditer(content):
        hook = match["hook"].decode().upper().replace("-", "_")
        switches.append(f"HATCH_BUILD_HOOK_ENABLE_{hook}")

    return switches
