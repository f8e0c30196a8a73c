"""What to do about a package that cannot be installed or imported for want of another one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from builder.untrusted.package_names import table_key

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_VERSION = re.compile(
    r"satisfies the requirement (?P<needed>[\w.-]+[^ (]*) .*\(from versions: (?P<versions>\d[^)]*)\)"
)
"""What pip says of a requirement for which the index has other versions alone."""

_NEEDS_ANOTHER_FIRST = re.compile(
    r"\b(?P<module>[A-Za-z_][\w.]{0,60})(?: (?:package|module|library))?"
    r" (?:should|must|has to|have to|needs to) be imported (?:before|first)"
    r"|\bimport (?P<other_module>[A-Za-z_][\w.]{0,60}) (?:before|first)\b"
)
"""How packages say that another one has to be imported before them: psycopg-c does in the first form."""
_LONGEST_NAME = 60
"""Characters of a module's name that is told; longer ones are no names."""

_REMOVED_MODULES = frozenset(
    {
        *("aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt"),
        *("distutils", "formatter", "imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis"),
        *("nntplib", "ossaudiodev", "parser", "pipes", "smtpd", "sndhdr", "spwd", "sunau"),
        *("symbol", "telnetlib", "uu", "xdrlib"),
    }
)
"""What was in the standard library and is no more (PEP 594, PEP 632): no package has to be imported first for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """What is known of the other packages of a run.

    Attributes:
        extra_of: packages that name this one in one of their extras.
        modules: which packages bring a module, by the first part of its name.
    """

    extra_of: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def suggest_companion(error: str, name: str, missing: str, neighbours: Neighbours) -> str:
    """Return the remedy for a package that can be imported after another one only; empty where nothing says so.

    Args:
        error: the exception, which names the other one if it is an honest one.
        name: the package.
        missing: the first part of the name of the module that could not be found, which is none of its own; empty
            where the exception is another one.
        neighbours: the other packages of the run.
    """
    table = f"[packages.{table_key(name)}]"
    match = _NEEDS_ANOTHER_FIRST.search(error)
    if match is not None:
        named = canonicalize_name(match["module"] or match["other_module"])
        if named != canonicalize_name(name):
            return f'try `import-after = ["{named}"]` in {table}, which imports {named} first'

    # The exception, and what it calls missing, is what the package says.
    is_name = missing.isidentifier() and len(missing) <= _LONGEST_NAME
    is_of_another = is_name and missing not in _REMOVED_MODULES
    bringer = _find_bringer(name, missing, neighbours) if is_of_another else ""
    if bringer:
        return (
            f'try `import-after = ["{bringer}"]` in {table}: {bringer} brings {missing}, which its metadata does not'
            f" require; it is installed beside it then, and imported first"
        )
    if neighbours.extra_of:
        other = neighbours.extra_of[0]
        return (
            f"read the exception; {other} has it as an extra: where it works after that alone,"
            f' `import-after = ["{other}"]` in {table} imports {other} first'
        )
    if is_of_another:
        return (
            f"it needs {missing} of another package, which its metadata does not require: name that package in"
            f" `import-after` in {table}, which installs it beside and imports it first"
        )

    return ""


def _find_bringer(name: str, missing: str, neighbours: Neighbours) -> str:
    """Return the package of the run that brings a module; empty where none does, or nobody can tell which is meant.

    Several may share a name, as `google` is: then it is the one that has the package as an extra.
    """
    own = canonicalize_name(name)
    bringers = [other for other in neighbours.modules.get(missing, ()) if other != own]
    if len(bringers) > 1:
        bringers = [other for other in bringers if other in neighbours.extra_of]

    return bringers[0] if len(bringers) == 1 else ""


def suggest_version(error: str) -> str:
    """Return what to do where pip finds a needed package in the farm's index and no version that fits; else nothing."""
    found = _NO_VERSION.search(error)
    if found is None:
        return ""

    needed, versions = found["needed"], found["versions"]
    project = re.split(r"[^\w.-]", needed, maxsplit=1)[0]
    return (
        f"it needs {needed}, and the farm has {versions}: add one that fits to the matrix, "
        f'as [packages."{project}==VERSION"] beside the table that is there'
    )
