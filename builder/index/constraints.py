"""What a channel serves -> a constraints file per ABI: installs exactly what was verified, or nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from packaging.tags import parse_tag
from packaging.version import Version

from builder.distributions.tags import accepts_tag
from builder.index.gates import parse_verdicts
from builder.index.manifest import project_digests
from builder.store.files import replace_text
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from builder.index.manifest import Entry, Manifest
    from builder.index.publish import Publication

FOLDER = "constraints"
"""Its folder under the wheelhouse."""

_APPLICATIONS = "applications"
"""The folder in it with what applications install."""

_CANARY = "canary"
"""The folder in it with what an install from `canary/` is held to, named as that of `simple/` is."""

_APPLICATION_PIN = re.compile(r"^(?:# not served: )?([^\s#=]+)==(\S+)", re.MULTILINE)
"""A line of an application's file that names a release, as `_render_application` writes it."""

_NOT_PROMOTED = "in canary/, and not promoted yet"

Withheld = Mapping[str, Container[tuple[str, str]]]
"""By ABI: what is served and lacks there what it needs, as (project, version)."""

Remarks = Mapping[str, Mapping[str, str]]
"""By ABI and canonical name of a project: why it is missing there, or a warning about it, such as its verdict."""


def write(
    served: Manifest,
    abis: Iterable[str],
    remarks: Remarks,
    wheelhouse: Path,
    withheld: Withheld | None = None,
) -> None:
    """Write a constraints file for each ABI, `constraints/cp314t.txt`, and remove the files of other ABIs.

    Args:
        served: the content of `simple/`, i.e. the wheels that may be installed.
        abis: names of the ABIs.
        remarks: why projects are missing, and warnings, for the comments in the files.
        wheelhouse: the folder that has `constraints/`.
        withheld: what is served and lacks on an ABI what it needs; None for nothing.
    """
    _write_folder(wheelhouse / FOLDER, served, list(abis), remarks, withheld)


def write_channels(
    publication: Publication,
    abis: Sequence[str],
    remarks: Remarks,
    wheelhouse: Path,
    withheld: Withheld | None = None,
) -> None:
    """Write the constraints files of every channel that is installed from, and remove those of a channel that is gone.

    Those of `canary/` are `constraints/canary/cp314t.txt`, and say what was judged. Those of `simple/`, which may have
    older releases, say of each what it was promoted with.

    Args:
        publication: what the channels hold.
        abis: names of the ABIs.
        remarks: about what policy admits and what it does not.
        wheelhouse: the folder that has `constraints/`.
        withheld: what is served and lacks on an ABI what it needs; None for nothing.
    """
    folder = wheelhouse / FOLDER
    if publication.canary is None:
        _write_folder(folder, publication.served, abis, remarks, withheld)
        shutil.rmtree(folder / _CANARY, ignore_errors=True)
        return

    _write_folder(folder / _CANARY, publication.canary, abis, remarks, withheld)
    promoted_remarks = {abi: _collect_promoted(publication, abi) for abi in abis}
    _write_folder(folder, publication.served, abis, promoted_remarks, withheld)


def _write_folder(
    folder: Path,
    served: Manifest,
    abis: Sequence[str],
    remarks: Remarks,
    withheld: Withheld | None = None,
) -> None:
    texts = dict(render(served, abis, remarks, withheld))
    for name, text in texts.items():
        replace_text(folder / name, text)
    for path in folder.glob("*.txt"):
        if path.name not in texts:
            path.unlink()


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedFiles:
    """A package that an application locks.

    Attributes:
        hashes: sha256 of each file of it that may be installed; empty where the index has none.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


def write_application(name: str, abi: str, locked: Iterable[LockedFiles], wheelhouse: Path) -> None:
    """Write what an application installs on an ABI, `constraints/applications/NAME-cp314t.txt`.

    It is a requirements file with the hashes of what the index serves, for `pip install --require-hashes`.

    Args:
        name: of the application.
        abi: the ABI.
        locked: its packages.
        wheelhouse: the folder that has `constraints/`.
    """
    path = _application_path(name, abi, wheelhouse)
    replace_text(path, "\n".join(_render_application(name, abi, locked)) + "\n")


def read_application(name: str, abi: str, wheelhouse: Path) -> frozenset[tuple[str, str]] | None:
    """Return what an application locked on an ABI when it was tried last, as (name, version), served or not.

    Args:
        name: of the application.
        abi: the ABI.
        wheelhouse: the folder that has `constraints/`.

    Returns:
        None where no run wrote its file, or the file cannot be read.
    """
    try:
        text = _application_path(name, abi, wheelhouse).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

    return frozenset(_APPLICATION_PIN.findall(text))


def remove_other_applications(names: Iterable[str], wheelhouse: Path) -> None:
    """Remove the files of applications that the matrix has no more.

    Args:
        names: of those it has.
        wheelhouse: the folder that has `constraints/`.
    """
    kept = set(names)
    for path in (wheelhouse / FOLDER / _APPLICATIONS).glob("*.txt"):
        if path.stem.rpartition("-")[0] not in kept:
            path.unlink()


def _application_path(name: str, abi: str, wheelhouse: Path) -> Path:
    return wheelhouse / FOLDER / _APPLICATIONS / f"{name}-{abi}.txt"


def _render_application(name: str, abi: str, locked: Iterable[LockedFiles]) -> Iterator[str]:
    """Iterate over the lines of an application's file; a package that the index does not have is a comment."""
    yield f"# {name} on {abi}, from this index alone:"
    yield f"# pip install --require-hashes --no-deps --only-binary :all: --requirement {name}-{abi}.txt"
    for package in sorted(locked, key=attrgetter("name")):
        if package.hashes:
            hashes = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in package.hashes)
            yield f"{package.name}=={package.version}{hashes}"
        else:
            yield f"# not served: {package.name}=={package.version}"


def rewrite(publication: Publication, wheelhouse: Path) -> None:
    """Write the constraints files again after a promotion or a rollback, for the same ABIs as before.

    The reasons why projects are missing come from the yanked files of the quarantine.
    """
    abis = sorted(path.stem for path in (wheelhouse / FOLDER).glob("*.txt"))
    offered = publication.served if publication.canary is None else publication.canary
    remarks = {abi: _collect_yanked(offered, publication.quarantine, abi) for abi in abis}
    write_channels(publication, abis, remarks, wheelhouse)


def _collect_promoted(publication: Publication, abi: str) -> dict[str, str]:
    """Return the remarks about `simple/` on an ABI, by project, where there is a canary channel.

    They are: the verdict that a wheel was promoted with, where it is not plainly good, why projects are in quarantine,
    and that they are in `canary/` alone.
    """
    assert publication.canary is not None, "the caller has looked"
    remarks = _collect_yanked(publication.served, publication.quarantine, abi)
    served_digests = project_digests(publication.served)
    waiting: dict[str, tuple[Entry, ...]] = {}
    for project, digest in project_digests(publication.canary).items():
        if served_digests.get(project) != digest:
            waiting[project] = publication.canary[project]
    pins = _collect_versions({name: publication.served.get(name, ()) for name in waiting}, abi)
    for project in _collect_versions(waiting, abi):
        if project not in pins:
            remarks.setdefault(project, _NOT_PROMOTED)

    for project, entries in publication.served.items():
        doubts = dict.fromkeys(_find_doubt(entry.verdicts, abi) for entry in entries)
        doubts.pop("", None)
        if doubts:
            own = [remarks[project]] if project in remarks else []
            remarks[project] = "; ".join([*own, *doubts])

    return remarks


@lru_cache(maxsize=10_000)  # few combinations of verdicts differ
def _find_doubt(verdicts: str, abi: str) -> str:
    """Return the verdict on an ABI, of those of an entry, where it is not plainly good; else nothing."""
    verdict = parse_verdicts(verdicts).get(abi)
    is_doubtful = verdict is not None and not Verdict(verdict).is_good
    return verdict if verdict is not None and is_doubtful else ""


def _collect_yanked(served: Manifest, quarantine: Manifest, abi: str) -> dict[str, str]:
    """Return the reason for which an ABI's files of each project are yanked, by project.

    Where the project has several versions, each reason says which it is about.
    """
    beside = {project: served[project] for project in quarantine if project in served}
    pins = _collect_versions(beside, abi)
    reasons: dict[str, str] = {}
    for project, entries in quarantine.items():
        by_version: dict[str, str] = {}
        for entry in entries:
            version, tags = _split_name(entry.filename)
            if _accepts_tags(tags, abi):
                by_version[str(_parse_version(version))] = entry.yanked
        if not by_version:
            continue

        versions = {*by_version, *pins.get(project, ())}
        texts = list(by_version.values())
        if len(versions) > 1:
            texts = [f"{version}: {reason}" for version, reason in by_version.items()]
        reasons[project] = "; ".join(texts)

    return reasons


def render(
    served: Manifest, abis: Sequence[str], remarks: Remarks, withheld: Withheld | None = None
) -> Iterator[tuple[str, str]]:
    """Iterate over the constraints file of each ABI, as (file name, text).

    Args:
        served: the content of `simple/`.
        abis: names of the ABIs.
        remarks: why projects are missing, and warnings, for the comments.
        withheld: what is served and lacks on an ABI what it needs; None for nothing.
    """
    pins: dict[str, dict[str, list[str]]] = {}
    for abi in abis:
        lacking = (withheld or {}).get(abi, ())
        pins[abi] = _collect_versions(served, abi, lacking)
    for abi in abis:
        yield f"{abi}.txt", _render_abi(abi, pins, remarks.get(abi, {}))


def _collect_versions(
    served: Manifest, abi: str, lacking: Container[tuple[str, str]] = ()
) -> dict[str, list[str]]:
    """Return the versions of each project that have a wheel for an ABI, the newest last.

    Projects without such a wheel are left out, and so is what lacks there what it needs, as (project, version).
    """
    pins: dict[str, list[str]] = {}
    for project, entries in served.items():
        versions: set[Version] = set()
        for entry in entries:
            version_text, tags = _split_name(entry.filename)
            if not _accepts_tags(tags, abi):
                continue
            version = _parse_version(version_text)
            if not lacking or (project, str(version)) not in lacking:
                versions.add(version)
        if versions:
            pins[project] = [str(version) for version in sorted(versions)]

    return pins


@lru_cache(maxsize=200_000)  # each wheel is asked about for every ABI, and is in several channels
def _split_name(filename: str) -> tuple[str, str]:
    """Return the version and the tags in the name of a wheel of the index: `("1.0", "cp314-cp314t-linux_x86_64")`.

    The names were checked when the manifest was made. An index of ten thousand packages has few versions and tags that
    differ, so each is parsed once.
    """
    parts = filename.removesuffix(".whl").split("-")
    return parts[1], "-".join(parts[-3:])


_parse_version = lru_cache(maxsize=100_000)(Version)


@lru_cache(maxsize=10_000)
def _accepts_tags(tags: str, abi: str) -> bool:
    return any(accepts_tag(tag, abi) for tag in parse_tag(tags))


def _render_abi(
    abi: str,
    pins: Mapping[str, Mapping[str, list[str]]],
    remarks: Mapping[str, str],
) -> str:
    """Return the text of an ABI's constraints file.

    First a pin for each project with a wheel for this ABI; then, as comments, projects that only other ABIs have,
    grouped by these; then projects that no ABI has.

    Args:
        abi: name of the ABI.
        pins: the versions of each project, by ABI and project.
        remarks: why projects are missing on this ABI, and warnings, by project.
    """
    own_pins = pins[abi]
    lines = [
        f"# What was verified on {abi}, and nothing else: pip install --constraint {abi}.txt ..."
    ]
    for project, versions in sorted(own_pins.items()):
        lines.append(_render_pin(project, versions, remarks.get(project, "")))

    other_abis = _find_other_abis(abi, pins)
    projects_by_abis: dict[str, list[str]] = {}
    for project, others in other_abis.items():
        projects_by_abis.setdefault(" or ".join(others), []).append(project)
    for abis, projects in sorted(projects_by_abis.items()):
        lines += ["", f"# Must stay on {abis}:"]
        for project in projects:
            reason = remarks.get(project, f"there is no wheel for {abi}")
            lines.append(_render_missing(project, reason))

    not_served = sorted(remarks.keys() - own_pins.keys() - other_abis.keys())
    if not_served:
        lines += ["", "# Not served at all:"]
        for project in not_served:
            lines.append(_render_missing(project, remarks[project]))

    return "\n".join(lines) + "\n"


def _find_other_abis(abi: str, pins: Mapping[str, Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """Return, for each project that this ABI does not have, the other ABIs that do have it."""
    other_abis: dict[str, list[str]] = {}
    for other_abi, projects in pins.items():
        for project in sorted(projects.keys() - pins[abi].keys()):
            other_abis.setdefault(project, []).append(other_abi)

    return other_abis


def _render_pin(project: str, versions: Sequence[str], remark: str) -> str:
    """Return the line that pins a project, with a warning as a comment: `lxml==6.0.2  # gil-required: …`.

    A project with several versions gets a range instead: the matrix has several, or several packages need pure wheels
    of it. From this index alone nothing else is in the range; an application's own file names its one.
    """
    pin = f"{project}=={versions[0]}"
    comments = [remark] if remark else []
    if len(versions) > 1:
        pin = f"{project}>={versions[0]},<={versions[-1]}"
        comments.insert(0, f"served are {', '.join(versions)}")

    if comments:
        pin += f"  # {_escape_line('; '.join(comments))}"
    return pin


def _render_missing(project: str, reason: str) -> str:
    return f"#   {project}: {_escape_line(reason)}"


def _escape_line(text: str) -> str:
    """Return text as one line without control characters: in a constraints file the next line is a requirement."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]+", " ", text).split())
