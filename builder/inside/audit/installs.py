"""Where the members of a wheel end up when it is installed (PEP 427), and what of that is not the wheel's own affair.

Facts, all of them paths as they are after the installation:

`roots`       what it puts beside other packages: the outermost package (`__init__` in it), module, or folder without
              `__init__` that a file is in -> `package`, `module` or `folder`. `google/protobuf/x.py` is in
              `google/protobuf`: `google` without an `__init__` is shared by many (PEP 420)
`metadata`    `.dist-info` and `.egg-info` other than its own: by them another distribution is found
`pth`         `.pth` files that run code at the start of every interpreter -> the first such line
`scripts`     programs beside the interpreter, those of entry points among them
`data`        what goes to other places below the environment's folder
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .wheelfile import Wheel

# Far above what packages have. What is beyond is left out, and a fault: the audit's answer stays small whatever a wheel
# has, and no wheel hides what it installs behind many other things.
_MOST = 20_000
_MOST_CHARACTERS = 200
_MOST_DEPTH = 32

_LONGEST_PTH = 16 << 20  # what of a text is read (wheelfile.py); none has a thousandth of it
_PROGRAM_SECTIONS = frozenset({"console_scripts", "gui_scripts"})
_INFO = (".dist-info", ".egg-info")
_CODE = (".py", ".pyc", ".so", ".pyd")
_SITE = {"purelib", "platlib"}


def read_installs(wheel: Wheel) -> dict[str, Any]:
    """Return the facts that are listed at the top of this module."""
    destinations = _sort_members(wheel.members)
    scripts = destinations.scripts | set(_read_entry_points(wheel))
    paths = [path for _, path in destinations.site if path]
    roots = find_roots(paths)
    first_lines = _read_pth(wheel, destinations.site)

    installs: dict[str, list[Any]] = {
        "roots": sorted(roots.items()),
        "metadata": sorted(_find_other_infos(paths, wheel.dist_info)),
        "pth": sorted(first_lines.items()),
        "scripts": sorted(scripts),
        "data": sorted(destinations.data),
    }
    for what, items in installs.items():
        if len(items) > _MOST:
            detail = f"it installs {len(items)} {what}, of which {_MOST} were looked at"
            wheel.faults.append(("unsafe", "", detail))
            del items[_MOST:]

    return {**installs, "roots": dict(installs["roots"]), "pth": dict(installs["pth"])}


@dataclass(frozen=True, slots=True)
class _Destinations:
    """Where an installer puts the members of a wheel.

    Attributes:
        site: (name of the member, path below site-packages).
        scripts: paths below the folder for programs.
        data: paths below the environment itself, and those of schemes that are not known.
    """

    site: list[tuple[str, str]] = field(default_factory=list)
    scripts: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)


def _sort_members(members: Iterable[str]) -> _Destinations:
    """Sort the members of a wheel by where they are installed (the binary distribution format, "The .data directory").

    Headers are left out.
    """
    destinations = _Destinations()
    for name in members:
        folder, _, rest = name.partition("/")
        scheme, _, inner = rest.partition("/")
        if not folder.endswith(".data") or not rest:
            destinations.site.append((name, name))
        elif scheme in _SITE:
            destinations.site.append((name, inner))
        elif scheme == "scripts":
            destinations.scripts.add(inner)
        elif scheme != "headers":
            destinations.data.add(inner if scheme == "data" else rest)

    return destinations


def _find_other_infos(paths: list[str], own_info: str) -> set[str]:
    """Return the folders at the top that describe a distribution and are not the wheel's own."""
    infos: set[str] = set()
    for path in paths:
        top = path.partition("/")[0]
        if top.lower().endswith(_INFO) and top != own_info:
            infos.add(top)

    return infos


def find_roots(paths: list[str]) -> dict[str, str]:
    """Return the outermost package, module or folder that each path is in, with what it is: see `roots` above.

    `["a/__init__.py", "a/b/c.py", "d.py", "e/f/g.py", "h.pth"]` -> `{"a": "package", "d": "module", "e/f": "folder"}`
    """
    packages: set[str] = set()
    paths = [_find_source(path) for path in paths]
    for path in paths:
        folder, _, file = path.rpartition("/")
        if folder and file.partition(".")[0] == "__init__" and file.endswith(_CODE):
            packages.add(folder)

    roots: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        if parts[0].lower().endswith(_INFO):
            continue

        if len(parts) == 1:
            if path.endswith(_CODE):
                roots[path.partition(".")[0]] = "module"
            continue

        depth = min(len(parts), _MOST_DEPTH)
        folders = ["/".join(parts[:length]) for length in range(1, depth)]
        package = next((folder for folder in folders if folder in packages), None)
        if package is not None:
            roots[package] = "package"
        else:
            roots.setdefault(folders[-1], "folder")

    return roots


def _find_source(path: str) -> str:
    """Return the module that bytecode may be run in the place of: `a/__pycache__/b.cpython-314.pyc` -> `a/b.pyc`."""
    folder, _, file = path.rpartition("/")
    outer, _, cache = folder.rpartition("/")
    if cache != "__pycache__" or not file.endswith(".pyc"):
        return path

    module = f"{file.partition('.')[0]}.pyc"
    return f"{outer}/{module}" if outer else module


def _read_pth(wheel: Wheel, site: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first line with code of each `.pth` file at the top, as `site` would run it."""
    lines: dict[str, str] = {}
    for name, path in site:
        if "/" in path or not path.endswith(".pth"):
            continue
        # As `site` reads it, which takes a byte order mark away.
        for line in (wheel.text(name) or "").removeprefix("\ufeff").splitlines():
            # `site` takes these two beginnings for code, and everything else for a folder.
            if line.startswith(("import ", "import\t")):
                lines[path] = line[:_MOST_CHARACTERS]
                break
        else:
            if wheel.members[name].file_size > _LONGEST_PTH:
                lines[path] = (
                    f"# it has more than {_LONGEST_PTH >> 20} MiB, which were not read to the end"
                )

    return lines


def _read_entry_points(wheel: Wheel) -> list[str]:
    """Return the names of the programs that installers make for entry points.

    They are read as installers do (`importlib.metadata`): a line is an entry however far it is indented, and a section
    is what is left of a line without its brackets.
    """
    text = wheel.text(f"{wheel.dist_info}/entry_points.txt") or ""
    names: list[str] = []
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]").strip()
        elif section in _PROGRAM_SECTIONS and not line.startswith("#"):
            name, equals, _ = line.partition("=")
            if equals:
                names.append(name.strip())

    return names
