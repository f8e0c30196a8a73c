"""requirements.txt as pip reads it: pip's own grammar for lines, `-r` and `-c` followed on this machine only.

pip's file reader itself is not used: it fetches addresses that a file names, puts environment variables into lines, and
leaves line numbers out of its complaints.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from pip._internal.req.req_file import get_line_parser, ignore_comments, join_lines

from builder.dependencies.files.model import Dependency, DependencyFile, SkippedDependency
from builder.dependencies.files.text import parse_requirement, read_text, shorten
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.dependencies.files.model import Selection

_INDEX_OPTIONS = ("index_url", "extra_index_urls", "find_links", "no_index")
_MAX_DEPTH = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """One logical line: its file and number, the requirement before any option, and the options."""

    path: Path
    number: int
    text: str
    options: Any
    constraint: bool


@dataclass(slots=True)
class _Requirements:
    dependencies: list[Dependency] = field(default_factory=list)
    constraints: list[Dependency] = field(default_factory=list)
    left_out: list[SkippedDependency] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)


def read(path: Path, selection: Selection) -> DependencyFile:
    """Read a requirements file and what it includes.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: one of the files cannot be read or is wrong.
    """
    gathered = _Requirements()
    for line in _iter_lines(path, constraint=False, chain=()):
        _add_line(line, path, selection, gathered)
    wanted = tuple(gathered.dependencies)
    return DependencyFile(
        path=path,
        format="requirements.txt",
        dependencies=wanted,
        constraints=tuple(gathered.constraints),
        # pip asks for hashes of everything as soon as one requirement has one.
        is_complete=bool(wanted) and all(one.hashes and one.version for one in wanted),
        left_out=tuple(gathered.left_out),
        notes=tuple(gathered.notes),
    )


def _add_line(line: _Line, top: Path, selection: Selection, gathered: _Requirements) -> None:
    where = _line_location(line.path, line.number, top)
    if line.options.editables:
        text = shorten(line.options.editables[0])
        gathered.left_out.append(
            SkippedDependency(
                name=text, where=where, why="is a local folder, not a release on the index"
            )
        )
        return
    if not line.text:
        _note_index_options(line.options, where, gathered)
        return
    if _is_local_or_remote(line.text):
        why = "is a file or an address, not a release on the index"
        gathered.left_out.append(SkippedDependency(name=shorten(line.text), where=where, why=why))
        return
    parsed = parse_requirement(line.path, f"line {line.number}", line.text)
    name = str(canonicalize_name(parsed.name))
    if not selection.matches_marker(parsed.marker):
        gathered.left_out.append(
            SkippedDependency(name=name, where=where, why=selection.explain_mismatch(parsed.marker))
        )
    elif parsed.url:
        why = f"comes from {shorten(parsed.url.partition('@')[0])}, not from the index"
        gathered.left_out.append(SkippedDependency(name=name, where=where, why=why))
    else:
        hashes = line.options.hashes or {}
        dependency = Dependency(
            name=name,
            specifier=str(parsed.specifier),
            extras=frozenset(str(canonicalize_name(extra)) for extra in parsed.extras),
            hashes=tuple(
                f"{algorithm}:{value}" for algorithm, values in hashes.items() for value in values
            ),
            where=where,
        )
        (gathered.constraints if line.constraint else gathered.dependencies).append(dependency)


def _note_index_options(options: Any, where: str, gathered: _Requirements) -> None:  # noqa: ANN401 - optparse's values
    if any(getattr(options, name, None) for name in _INDEX_OPTIONS):
        gathered.notes[
            f"{where} names an index of its own; the farm asks the one that pip here is configured with"
        ] = None


def _is_local_or_remote(text: str) -> bool:
    """Tell a path or an address from a requirement, as pip does."""
    first = text.split("@", maxsplit=1)[0].strip() if " @ " in text or "@ " in text else text
    return (
        "://" in first
        or "/" in first.partition(";")[0]
        or first.startswith(".")
        or text.endswith((".whl", ".tar.gz", ".zip"))
    )


def _iter_lines(path: Path, *, constraint: bool, chain: tuple[Path, ...]) -> Iterator[_Line]:
    """Yield the lines of a file and of those it includes, in pip's order."""
    parse = get_line_parser(None)
    numbered = enumerate(read_text(path).splitlines(), start=1)
    for number, text in ignore_comments(join_lines(numbered)):
        try:
            requirement_text, options = parse(text)
        except Exception as error:  # optparse, shlex and pip each raise their own
            mistake = (
                f"line {number}",
                f"{shorten(text)!r} cannot be read: {shorten(getattr(error, 'msg', error))}",
            )
            raise DependencyFileError(path, [mistake]) from None
        included = [(name, False) for name in options.requirements or ()]
        included += [(name, True) for name in options.constraints or ()]
        for name, only_constrains in included:
            target = _resolve_include(path, number, name, chain)
            yield from _iter_lines(
                target, constraint=constraint or only_constrains, chain=(*chain, path.resolve())
            )
        if not included:
            yield _Line(
                path=path,
                number=number,
                text=requirement_text.strip(),
                options=options,
                constraint=constraint,
            )


def _resolve_include(path: Path, number: int, name: str, chain: tuple[Path, ...]) -> Path:
    if "://" in name:
        text = f"includes {shorten(name)!r}; fetch it and include the file"
        raise DependencyFileError(path, [(f"line {number}", text)])
    target = Path(os.path.normpath(path.parent / name))
    if target.resolve() in (*chain, path.resolve()) or len(chain) >= _MAX_DEPTH:
        raise DependencyFileError(
            path, [(f"line {number}", f"includes {shorten(name)!r}, which includes this file")]
        )
    if not target.is_file():
        raise DependencyFileError(
            path, [(f"line {number}", f"includes {shorten(name)!r}, and there is no such file")]
        )
    return target


def _line_location(path: Path, number: int, top: Path) -> str:
    """Name a line; the file too, as seen from the one that was asked for."""
    return f"{os.path.relpath(path, top.parent)}:{number}"
