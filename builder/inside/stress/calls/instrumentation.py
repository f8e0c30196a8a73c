"""Which native code the race detector cannot see, of a wheel and beside it: not compiled for it, or missing."""

import struct
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath
from pathlib import Path, PurePath

from ...supervise.distributions import find_distribution, list_distributions, list_files

_ENTRY_POINTS = b"__tsan_"
"""Beginning of the names of the sanitizer's functions: every object that is compiled with `-fsanitize=thread` imports
`__tsan_init`, and those for the accesses to memory that it makes."""

_WATCHED = (
    b"__tsan_func_entry",
    b"__tsan_read",
    b"__tsan_write",
    b"__tsan_unaligned",
    b"__tsan_atomic",
)
"""Functions that tell the sanitizer what code does: code without any of them makes no access that could race."""

_SILENCERS = (
    b"AnnotateIgnore",
    b"AnnotateBenignRace",
    b"AnnotateEnableRaceDetection",
    b"__tsan_ignore",
    b"__tsan_on_report",
    b"__tsan_default_",
    b"__sanitizer_set_report",
    b"__sanitizer_set_death",
)
"""Beginnings of the sanitizer's functions by which code keeps races from being reported (its header
`tsan_interface.h`)."""

_MOST_BYTES = 1 << 30  # of a file; the largest extension modules have a few hundred MB
_ELF_BEGINNING = b"\x7fELF"
_ELF_MAGIC = b"\x7fELF\x02\x01"  # of 64 bits, the least significant byte first
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC_SYMBOLS = 11  # SHT_DYNSYM
_MOST_SHOWN = 20  # files: one that was not watched is enough for the verdict

_VENDORED = ".libs"
"""End of the name of the folder for shared libraries of the system: auditwheel names these by their content."""


def find_unwatched(name: str, site: str, race_site: str) -> dict[str, str]:
    """Return what of a distribution's native code the race detector does not see, each with the reason.

    Args:
        name: the distribution's name.
        site: where the wheel that is judged is installed.
        race_site: where it is installed as it was compiled for the race detector.
    """
    judged_modules = set(_find_modules(find_distribution(site, name)))
    race_distribution = find_distribution(race_site, name)
    race_modules = set(_find_modules(race_distribution))

    unwatched: dict[str, str] = {}
    for module in sorted(judged_modules - race_modules):
        unwatched[module] = "compiled for the race detector, the package lacks this native code"
    for module in sorted(race_modules - judged_modules):
        unwatched[module] = "only what was compiled for the race detector has this native code"
    for file in _list_files(race_distribution):
        reason = explain_unwatched(Path(str(file.locate()))) if _is_installed(file) else None
        if reason is not None:
            unwatched[str(file)] = reason

    return dict(list(unwatched.items())[:_MOST_SHOWN])


def find_watched(name: str, race_site: str) -> set[str]:
    """Return the file names of a distribution's native code that was compiled for the race detector.

    It was compiled with the package, whatever it is called and in whichever folder it is: its frames are the package's.

    Args:
        name: as for `find_unwatched`.
        race_site: as for `find_unwatched`.
    """
    watched: set[str] = set()
    for file in _list_files(find_distribution(race_site, name)):
        path = Path(str(file.locate()))
        if _is_installed(file) and _is_native(path) and explain_unwatched(path) is None:
            watched.add(file.name)

    return watched


def find_unwatched_dependencies(name: str, race_site: str) -> dict[str, list[str]]:
    """Return the native code beside a distribution that was not compiled for the race detector: what it needs.

    Args:
        name: the distribution's name, in its canonical form (PEP 503).
        race_site: as for `find_unwatched`.

    Returns:
        File names, by the canonical name of the distribution that has them.
    """
    unwatched: dict[str, list[str]] = {}
    for dependency, distribution in list_distributions(race_site):
        if dependency == name:
            continue
        for file in list_files(distribution):
            if _is_installed(file) and explain_unwatched(Path(str(file.locate()))) is not None:
                unwatched.setdefault(dependency, []).append(file.name)

    return unwatched


def explain_unwatched(path: Path) -> str | None:
    """Return why the race detector does not see what a file does; None where it does, or the file is no native code."""
    if not _is_native(path):
        return None

    with path.open("rb") as file:
        content = file.read(_MOST_BYTES)

    try:
        names = list(_iter_symbols(content))
    except (struct.error, ValueError, IndexError) as error:
        return f"its symbols cannot be read: {error}"
    if not any(symbol.startswith(_ENTRY_POINTS) for symbol in names):
        return "it was not compiled with -fsanitize=thread"
    if not any(symbol.startswith(_WATCHED) for symbol in names):
        return "it was compiled with -fsanitize=thread, but nothing in it is watched"
    silencers = sorted(
        {symbol.decode(errors="replace") for symbol in names if symbol.startswith(_SILENCERS)}
    )
    if silencers:
        return (
            f"it tells the race detector what not to report: {', '.join(silencers[:_MOST_SHOWN])}"
        )

    return None


def _iter_symbols(content: bytes) -> Iterator[bytes]:
    """Give the names of the dynamic symbols of an ELF file, those that it imports among them.

    Raises:
        ValueError: it is no ELF file of this kind of machine.
        struct.error: it is cut.
    """
    if not content.startswith(_ELF_MAGIC):
        raise ValueError("it is no file of 64 bits")

    fields = _HEADER.unpack_from(content)
    sections_offset, section_size, section_count = fields[5], fields[10], fields[11]
    sections = []
    for index in range(section_count):
        sections.append(_SECTION.unpack_from(content, sections_offset + index * section_size))

    for section in sections:
        kind, offset, size, link = section[1], section[4], section[5], section[6]
        if kind != _DYNAMIC_SYMBOLS:
            continue

        names_offset = sections[link][4]
        for place in range(offset, min(offset + size, len(content)), _SYMBOL.size):
            name_offset = names_offset + _SYMBOL.unpack_from(content, place)[0]
            yield content[name_offset : content.index(b"\0", name_offset)]


def _list_files(distribution: Distribution | None) -> list[PackagePath]:
    return [] if distribution is None else list_files(distribution)


def _find_modules(distribution: Distribution | None) -> Iterator[str]:
    """Give the native code of a distribution, as if it were imported: `pkg/_fast.cpython-314t-….so` -> `pkg._fast`.

    What a file is called does not count: any file can be loaded as an extension module, from any folder.
    """
    for file in _list_files(distribution):
        is_own = _is_installed(file) and not any(part.endswith(_VENDORED) for part in file.parts)
        if is_own and _is_native(Path(str(file.locate()))):
            yield ".".join([*file.parts[:-1], file.name.partition(".")[0]])


def _is_native(path: Path) -> bool:
    """Return whether a file is native code, i.e. begins as ELF files do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF_BEGINNING)) == _ELF_BEGINNING


def _is_installed(file: PurePath) -> bool:
    """Return whether a file of a distribution is in the folder for packages, and no script beside it."""
    return ".." not in file.parts
