"""The kinds of values that keys of matrix.toml take, each checked where it is read: the error says how to write it."""

from __future__ import annotations

import datetime
import difflib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version
from pydantic import AfterValidator, BeforeValidator, Field

from builder.config import catalog
from builder.config.durations import parse_duration
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY_BASE = ""
"""Key of an `apt` list that is the same on every base."""

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

_MIN_MEMORY_BYTES = 64 << 20
"""Least memory of a build: a slip of the unit ('4k' for '4g') is to be a mistake in the matrix, not a failed build."""

_HEX_DIGITS = r"^[0-9a-f]{64}$"


def _check_specifier(value: str) -> str:
    """Return a version specifier (PEP 440) unchanged, or raise an error that says how to write it."""
    try:
        SpecifierSet(value).contains("0")  # its versions are parsed when they are needed
    except ValueError:
        hint = _hint_pin(value)
        raise ValueError(
            f"expected a version specifier such as '>=2,<3' or '==2.1.0', not {value!r}{hint}"
        ) from None
    return value


def _hint_pin(value: str) -> str:
    """Return how to write a bare version as a specifier, ` (did you mean '==2.1.0'?)`; empty for anything else."""
    try:
        return f" (did you mean '=={Version(value)}'?)"
    except ValueError:
        return ""


def parse_size(value: object) -> int:
    """Return a size in bytes: '4g' -> 4294967296. A number without a unit is in bytes.

    Raises:
        ValueError: it is no size.
    """
    text = str(value).strip().lower()
    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text)
    if match is None or isinstance(value, bool):
        raise ValueError(f"expected a size such as '512m' or '4g', not {value!r}")

    number, unit = match.groups()
    return int(number) * _UNITS[unit]


def _parse_memory(value: object) -> int:
    """Turn what a build may use into bytes."""
    size = parse_size(value)
    if size < _MIN_MEMORY_BYTES:
        raise ValueError(f"expected at least 64m, not {value!r}: no compiler runs in less")
    return size


def _as_base_table(value: object) -> object:
    """Let one list stand for every base."""
    return {EVERY_BASE: value} if isinstance(value, list) else value


def _check_apt_keys(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return a table of system packages unchanged; a key that is no distribution or base is an error."""
    table = catalog.load()
    allowed_keys = {*table.distributions, *table.bases}
    unknown = value.keys() - allowed_keys - {EVERY_BASE}
    if unknown:
        raise ValueError(
            f"unknown distribution or base {join_names(sorted(unknown))}; expected {join_names(sorted(allowed_keys))}"
        )
    return value


def join_names(names: Iterable[str]) -> str:
    """Return names in quotes, with commas between them."""
    return ", ".join(repr(name) for name in names)


def _check_known(kind: str, allowed: Iterable[str], value: str) -> str:
    """Return a name unchanged if it is an allowed one; the error for any other names the closest.

    `kind` is what the name stands for in the error, such as `base`.
    """
    choices = list(allowed)
    if value in choices:
        return value

    hint = hint_closest(value, choices)
    raise ValueError(f"unknown {kind} {value!r}{hint}; expected one of {join_names(choices)}")


def hint_closest(value: str, choices: Iterable[str]) -> str:
    """Name the choice that a misspelt one is likely to mean."""
    closest = difflib.get_close_matches(value, choices, n=1)
    return f" (did you mean {closest[0]!r}?)" if closest else ""


def _check_base(value: str) -> str:
    return _check_known("base", catalog.load().bases, value)


def _check_verdict(value: str) -> str:
    return _check_known("verdict", [verdict.value for verdict in Verdict], value)


def _check_abi(value: str) -> str:
    return _check_known("ABI", catalog.load().abis, value)


def _check_relative_path(value: str) -> str:
    """Return a path unchanged that stays below the folder it starts from."""
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"expected a path below the folder of matrix.toml, not {value!r}")
    return value


def _as_tuple(value: object) -> object:
    """Let one value stand for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _as_hashes(value: object) -> object:
    """Let one hash stand for a list of one; a wrong one is a mistake of the key, which has no index then."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(_HEX_DIGITS, value) is None:
        raise ValueError(f"expected 64 hexadecimal digits, not {value!r}")
    return (value,)


def _as_text(value: object) -> object:
    """Let `true` and numbers stand where a build backend takes text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _as_build_tag(value: object) -> object:
    """Let a number stand for the text that a wheel's name has."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _check_constraint(value: str) -> str:
    """Return a constraint (PEP 508 without an address) unchanged, or raise an error that says how to write it."""
    hint = f"expected a requirement such as 'setuptools<82', not {value!r}"
    try:
        requirement = Requirement(value)
    except InvalidRequirement:
        raise ValueError(hint) from None

    is_constraint = bool(requirement.specifier) and not requirement.url and not requirement.extras
    if not is_constraint or "\n" in value:
        raise ValueError(hint)
    return value


Specifier = Annotated[str, AfterValidator(_check_specifier)]
Memory = Annotated[int, BeforeValidator(_parse_memory)]
BaseName = Annotated[str, AfterValidator(_check_base)]
VerdictName = Annotated[str, AfterValidator(_check_verdict)]
AbiName = Annotated[str, AfterValidator(_check_abi)]
DebianPackage = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9+.-]+$",
        description="a system package's name, such as 'libxml2-dev'",
    ),
]
EnvName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="an environment variable's name, such as 'CFLAGS'",
    ),
]
ApplicationName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="a name of at most 64 letters, digits, '.', '_' and '-'",
    ),
]
RelativePath = Annotated[str, AfterValidator(_check_relative_path)]
Setting = Annotated[str, BeforeValidator(_as_text)]
Reason = Annotated[str, Field(min_length=1)]
SharedLibrary = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+*-]*$",
        description="the name that a shared library is loaded by, such as 'libodbc.so.2'",
    ),
]


NO_KEYS = frozenset({"root", "file"})
"""Fields of a matrix that are no keys of the file: they say where that is."""

NO_INPUTS: dict[str, Any] = {
    **dict.fromkeys(NO_KEYS, True),
    "notify": True,
    "applications": {"__all__": {"scenarios"}},
}
"""What of a matrix no result of a run goes by, as pydantic leaves it out: another address for alerts, or another
scenario to measure, makes nothing run or be judged again."""


def _check_companion(value: str) -> str:
    """Return a package's name in its canonical form (PEP 503), or raise an error that says what is expected."""
    try:
        return canonicalize_name(value, validate=True)
    except InvalidName:
        raise ValueError(f"expected a package's name such as 'psycopg', not {value!r}") from None


Companion = Annotated[str, AfterValidator(_check_companion)]
Constraint = Annotated[str, AfterValidator(_check_constraint)]
Duration = Annotated[datetime.timedelta, BeforeValidator(parse_duration)]
Sha256 = Annotated[str, Field(pattern=_HEX_DIGITS, description="64 hexadecimal digits")]
Hashes = Annotated[tuple[Sha256, ...], BeforeValidator(_as_hashes)]
From = Literal["sdist", "wheel", "either"]
GateName = Literal["verdict", "age", "measurement", "soak"]
BuildTag = Annotated[
    str,
    BeforeValidator(_as_build_tag),
    Field(pattern=r"^\d[a-z0-9]{0,15}$", description="a build tag: a number, such as 1"),
]
SettingList = Annotated[tuple[Setting, ...], BeforeValidator(_as_tuple)]
AptPackages = Annotated[
    dict[str, tuple[DebianPackage, ...]],
    BeforeValidator(_as_base_table),
    AfterValidator(_check_apt_keys),
]
