"""requirements.txt as pip reads it: pip's own grammar for lines, `-r` and `-c` followed on this machine only.

pip's file reader itself is not used: it fetches addresses that a file names, puts environment variables into lines, and
leaves line numbers out of its complaints.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from pip._internal.models.format_control import FormatControl
from pip._internal.req.req_file import get_line_parser, ignore_comments, join_lines

from builder.dependencies.files.model import Dependency, DependencyFile, SkippedDependency
from builder.dependencies.files.text import parse_requirement, read_text, shorten
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

    from builder.dependencies.files.model import Selection

_INDEX_OPTIONS = ("index_url", "extra_index_urls", "find_links", "no_index")
_ARCHIVE_SUFFIXES = (
    ".whl",
    ".tar.gz",
    ".tgz",
    ".zip",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tar",
)
_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_NAMED_TARGET = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*@\s")
"""The two ways to name what an address has: in its fragment, and before it (PEP 508)."""
_CONDA_LINE = re.compile(r"[A-Za-z0-9_.-]+=[^=\s]+=[^=\s]+")
"""As `conda list --export` writes them: `numpy=2.1.0=py312h1103770_0`."""

_MAX_DEPTH = 20
"""Files inside one another: a chain that grows (`a/a/a/…` by a link) is no circle and ends here; not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """One logical line.

    Attributes:
        number: of its first line in the file.
        text: the requirement before any option.
        options: optparse's values.
        is_constraint: whether it comes from a file that `-c` includes.
    """

    path: Path
    number: int
    text: str
    options: Any
    is_constraint: bool


@dataclass(slots=True)
class _Requirements:
    """What is gathered from the lines of all files."""

    dependencies: list[Dependency] = field(default_factory=list)
    constraints: list[Dependency] = field(default_factory=list)
    left_out: list[SkippedDependency] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    takes_prereleases: bool = False

    def leave_out(self, name: str, where: str, why: str) -> None:
        self.left_out.append(SkippedDependency(name=name, where=where, why=why))


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return the dependencies and constraints of a requirements file and of the files that it includes.

    The result counts as complete only if every dependency has one version and hashes.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: one of the files cannot be read or is wrong.
    """
    gathered = _Requirements()
    for line in _iter_lines(path, is_constraint=False, chain=()):
        _add_line(line, path, selection, gathered)

    wanted = tuple(gathered.dependencies)
    # pip asks for hashes of everything as soon as one requirement has one.
    is_complete = bool(wanted) and all(
        dependency.hashes and dependency.version for dependency in wanted
    )
    return DependencyFile(
        path=path,
        format="requirements.txt",
        dependencies=wanted,
        constraints=tuple(gathered.constraints),
        is_complete=is_complete,
        takes_prereleases=gathered.takes_prereleases,
        left_out=tuple(gathered.left_out),
        notes=tuple(gathered.notes),
    )


def _add_line(line: _Line, top: Path, selection: Selection, gathered: _Requirements) -> None:
    """Add what one line says to the gathered dependencies, constraints, notes or left-out items.

    Left out are local folders, files, addresses, and requirements whose markers do not hold.
    """
    where = _line_location(line.path, line.number, top)
    if line.options.editables:
        target = line.options.editables[0]
        why = _explain_editable(target)
        gathered.leave_out(_name_target(target), where, why)
        return
    if not line.text:
        _take_file_options(line.options, where, gathered)
        return
    if _is_local_or_remote(line.text):
        why = "is a file or an address, not a release on the index"
        gathered.leave_out(_name_target(line.text), where, why)
        return
    if _CONDA_LINE.fullmatch(line.text):
        text = (
            f"{shorten(line.text)!r} is a line of `conda list --export`, with a name of conda's; "
            "`pip freeze > requirements.txt` in the environment writes the names of the index"
        )
        raise DependencyFileError(line.path, [(f"line {line.number}", text)])

    parsed = parse_requirement(line.path, f"line {line.number}", line.text)
    name = str(canonicalize_name(parsed.name))
    if not selection.matches_marker(parsed.marker):
        gathered.leave_out(name, where, selection.explain_mismatch(parsed.marker))
        return
    if parsed.url:
        gathered.leave_out(name, where, f"comes from {shorten(parsed.url)}, not from the index")
        return

    dependency = _make_dependency(line, parsed, where)
    if line.is_constraint:
        gathered.constraints.append(dependency)
    else:
        gathered.dependencies.append(dependency)


def _make_dependency(line: _Line, parsed: Requirement, where: str) -> Dependency:
    """Return a line's requirement as a dependency, with the hashes that its options state."""
    hashes: list[str] = []
    for algorithm, values in (line.options.hashes or {}).items():
        hashes += [f"{algorithm}:{value}" for value in values]

    return Dependency(
        name=str(canonicalize_name(parsed.name)),
        specifier=str(parsed.specifier),
        extras=frozenset(str(canonicalize_name(extra)) for extra in parsed.extras),
        hashes=tuple(hashes),
        where=where,
    )


def _take_file_options(options: Any, where: str, gathered: _Requirements) -> None:  # noqa: ANN401 - optparse's values
    """Take the options of a line without a requirement, which hold for the whole file, or note that they are not."""
    if options.pre:
        gathered.takes_prereleases = True
    if any(getattr(options, name, None) for name in _INDEX_OPTIONS):
        note = f"{where} names an index of its own; the farm asks the one that pip here is configured with"
        gathered.notes[note] = None
    if options.prefer_binary or options.format_control != FormatControl():
        note = f"{where} chooses between wheels and sdists; what the farm builds, it builds from sdists"
        gathered.notes[note] = None


def _explain_editable(target: str) -> str:
    """Return why what `-e` names is left out."""
    if "://" in target:
        scheme = shorten(target.partition("://")[0].rpartition(" ")[2])
        return f"comes from a repository ({scheme}), not from the index"
    return "is a local folder, not a release on the index"


def _name_target(target: str) -> str:
    """Return what to call an address or a path: the name that it states, or what it is without its credentials.

    `git+https://example.invalid/x#egg=thing` -> `thing`, `thing @ git+https://…` -> `thing`.
    """
    egg = _EGG.search(target)
    if egg:
        return shorten(egg[1])
    named = _NAMED_TARGET.match(target)
    if named:
        return shorten(named[1])
    return shorten(target)


def _is_local_or_remote(text: str) -> bool:
    """Return whether a line means a path or an address instead of a requirement, by pip's rules.

    `./pkg`, `pkg.whl` and `https://…` do; `pkg>=1; os_name == "posix"` does not.
    """
    has_url = "@ " in text  # PEP 508: `name @ URL`
    name_or_path = text.partition("@")[0].strip() if has_url else text
    before_marker = name_or_path.partition(";")[0]

    is_path = "/" in before_marker or name_or_path.startswith(".")
    is_archive = before_marker.strip().endswith(_ARCHIVE_SUFFIXES)
    return "://" in name_or_path or is_path or is_archive


def _iter_lines(path: Path, *, is_constraint: bool, chain: tuple[Path, ...]) -> Iterator[_Line]:
    """Yield the lines of a requirements file and of those it includes by `-r` and `-c`, in pip's order.

    Args:
        path: the file.
        is_constraint: whether `-c` led to it.
        chain: the files that include it, the outermost first.
    """
    parse = get_line_parser(None)
    numbered = enumerate(read_text(path).splitlines(), start=1)
    for number, text in ignore_comments(join_lines(numbered)):
        try:
            requirement_text, options = parse(text)
        except Exception as error:  # optparse, shlex and pip each raise their own
            reason = shorten(getattr(error, "msg", error))
            why = f"{shorten(text)!r} cannot be read: {reason}"
            raise DependencyFileError(path, [(f"line {number}", why)]) from None

        included = [(name, is_constraint) for name in options.requirements or ()]
        included += [(name, True) for name in options.constraints or ()]
        for name, only_constrains in included:
            target = _resolve_include(path, number, name, chain)
            longer_chain = (*chain, path.resolve())
            yield from _iter_lines(target, is_constraint=only_constrains, chain=longer_chain)
        if not included:
            yield _Line(
                path=path,
                number=number,
                text=requirement_text.strip(),
                options=options,
                is_constraint=is_constraint,
            )


def _resolve_include(path: Path, number: int, name: str, chain: tuple[Path, ...]) -> Path:
    """Return the path of the file that a line includes.

    Refused are addresses, as nothing is fetched, files that include one another in a circle or too deeply, and missing
    files.
    """
    where, shown_name = f"line {number}", shorten(name)
    if "://" in name:
        text = f"includes {shown_name!r}; nothing is fetched from there: download it and name the file in its place"
        raise DependencyFileError(path, [(where, text)])

    target = Path(os.path.normpath(path.parent / name))
    is_circle = target.resolve() in (*chain, path.resolve())
    if is_circle or len(chain) >= _MAX_DEPTH:
        text = f"includes {shown_name!r}, which includes this file"
        raise DependencyFileError(path, [(where, text)])
    if not target.is_file():
        text = f"includes {shown_name!r}, and there is no such file"
        raise DependencyFileError(path, [(where, text)])
    return target


def _line_location(path: Path, number: int, top: Path) -> str:
    """Name a line; the file too, as seen from the one that was asked for."""
    return f"{os.path.relpath(path, top.parent)}:{number}"
