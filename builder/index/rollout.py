"""Canary first: what is new, or got a new verdict, waits there. What stays in `simple/` meanwhile. Pure.

Why it is so: docs/decisions/0038-canary-first.md.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder.distributions.tags import accepts_wheel
from builder.index.manifest import project_digests, replace_projects

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from builder.index.manifest import Entry, Manifest
    from builder.index.requirements import Dependents, Requirements


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingFile:
    """A wheel of `canary/` that waits for its promotion.

    Attributes:
        entry: the wheel, with its verdicts in `canary/`.
        before: the verdicts of what `simple/` has in its place: the same file, else the newest release before it; empty
            where it has nothing.
        is_served: whether `simple/` has this very file, so that its verdicts alone are new.
    """

    entry: Entry
    before: str
    is_served: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingRelease:
    """A release of a project that waits for its promotion. It is promoted as a whole.

    Attributes:
        files: those of its wheels that wait.
    """

    project: str
    version: str
    files: tuple[PendingFile, ...]

    @property
    def name(self) -> str:
        """Project and version, `numpy==2.4.0`."""
        return f"{self.project}=={self.version}"

    @property
    def since(self) -> str:
        """Since when all its files have been in `canary/` with their verdicts, UTC and ISO 8601."""
        return max(file.entry.since for file in self.files)

    @property
    def hashes(self) -> frozenset[str]:
        """The sha256 of the wheels that wait: what a gate that measured something is about."""
        return frozenset(file.entry.sha256 for file in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class CarriedOver:
    """What a run leaves of `simple/` before anything is promoted.

    Attributes:
        served: its content.
        withdrawn: files that were in it, and why they no longer are, by name.
    """

    served: Manifest
    withdrawn: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a run says of releases, for what `simple/` had before it.

    Attributes:
        quarantine: the content of the quarantine.
        refused: by (project, version, ABI), the verdict that is not admitted.
        projects: of the matrix, and those that they need.
        abis: names of the ABIs.
    """

    quarantine: Manifest
    refused: Mapping[tuple[str, str, str], str]
    projects: Container[str]
    abis: Sequence[str]


def stamp_entries(
    admitted: Manifest, verdicts: Mapping[tuple[str, str], str], canary: Manifest, now: str
) -> Manifest:
    """Return what policy admits as the content of `canary/`: with verdicts, and since when each file has them there.

    Args:
        admitted: what policy admits.
        verdicts: of each file, by name and sha256.
        canary: what the channel had before.
        now: the time, UTC and ISO 8601.
    """
    stamped: dict[str, tuple[Entry, ...]] = {}
    for project, entries in admitted.items():
        before = _index_files(canary.get(project, ()))
        new_entries: list[Entry] = []
        for entry in entries:
            stated = verdicts.get((entry.filename, entry.sha256), "")
            known = before.get((entry.filename, entry.sha256))
            has_same_verdicts = known is not None and known.verdicts == stated
            since = known.since if known is not None and has_same_verdicts else now
            new_entries.append(replace(entry, verdicts=stated, since=since))
        stamped[project] = tuple(new_entries)

    return stamped


def find_pending(served: Manifest, canary: Manifest) -> tuple[PendingRelease, ...]:
    """Return the releases of `canary/` with a wheel that `simple/` does not have, or has with other verdicts."""
    served_digests = project_digests(served)
    pending: list[PendingRelease] = []
    for project, digest in project_digests(canary).items():
        if served_digests.get(project) != digest:
            pending += _find_pending_of(project, served.get(project, ()), canary[project])

    return tuple(pending)


def _find_pending_of(
    project: str, served: Sequence[Entry], canary: Sequence[Entry]
) -> list[PendingRelease]:
    """Return the releases of a project that wait, the oldest first."""
    promoted = _index_files(served)
    by_version: dict[str, list[PendingFile]] = {}
    for entry in canary:
        same = promoted.get((entry.filename, entry.sha256))
        if same is not None and same.verdicts == entry.verdicts:
            continue

        before = same if same is not None else _find_predecessor(entry, served)
        file = PendingFile(
            entry=entry,
            before="" if before is None else before.verdicts or "unknown",
            is_served=same is not None,
        )
        by_version.setdefault(version_of(entry), []).append(file)

    releases: list[PendingRelease] = []
    for version in sorted(by_version, key=Version):
        files = tuple(by_version[version])
        releases.append(PendingRelease(project=project, version=version, files=files))

    return releases


def version_of(entry: Entry) -> str:
    """Return the version in a wheel's name, in its normal form (PEP 440)."""
    return str(parse_wheel_filename(entry.filename)[1])


def _index_files(entries: Iterable[Entry]) -> dict[tuple[str, str], Entry]:
    """Return entries by file name and sha256."""
    return {(entry.filename, entry.sha256): entry for entry in entries}


def _find_predecessor(entry: Entry, served: Sequence[Entry]) -> Entry | None:
    """Return the newest wheel of `simple/` for the interpreter and ABI of one that is not there; None without one."""
    tags = {(tag.interpreter, tag.abi) for tag in parse_wheel_filename(entry.filename)[3]}
    alike: list[Entry] = []
    for other in served:
        other_tags = {(tag.interpreter, tag.abi) for tag in parse_wheel_filename(other.filename)[3]}
        if not tags.isdisjoint(other_tags):
            alike.append(other)

    return max(alike, key=lambda other: Version(version_of(other)), default=None)


def carry_over(
    served: Manifest, canary: Manifest, policy: Policy, requirements: Requirements
) -> CarriedOver:
    """Return what stays in `simple/` when a run has new verdicts.

    What policy admits no longer is withdrawn at once, and so is what then lacks something that it needs. A release that
    the matrix has replaced stays until the new one is promoted, a project that the matrix has no more as long as
    something needs it.

    Args:
        served: what `simple/` had.
        canary: what policy admits now.
        policy: what the run says of the releases.
        requirements: what wheels require.
    """
    withdrawn: dict[str, str] = {}
    kept: dict[str, tuple[Entry, ...]] = {}
    for project, entries in served.items():
        admitted = _index_files(canary.get(project, ()))
        staying: list[Entry] = []
        for entry in entries:
            current = admitted.get((entry.filename, entry.sha256))
            if current is not None:
                staying.append(_choose_record(entry, current))
                continue
            reason = _explain_refusal(project, entry, policy)
            if reason:
                withdrawn[entry.filename] = reason
            else:
                staying.append(entry)
        if staying:
            kept[project] = tuple(staying)

    dependents = requirements.find_dependents(served)
    _drop_unneeded(kept, canary, policy.projects, dependents)
    lost = [project for project, entries in served.items() if kept.get(project) != entries]
    _close(kept, served, lost, requirements, dependents, withdrawn)
    return CarriedOver(served=kept, withdrawn=withdrawn)


def _choose_record(served: Entry, canary: Entry) -> Entry:
    """Return what `simple/` says of a file that `canary/` has too: the verdicts that it was promoted with.

    A file that was there before the matrix had a rollout has none: it counts as promoted with those of today.
    """
    has_other_verdicts = served.since and served.verdicts != canary.verdicts
    return served if has_other_verdicts else canary


def _explain_refusal(project: str, entry: Entry, policy: Policy) -> str:
    """Return why policy no longer admits a file that `canary/` does not have; empty where it says nothing of it."""
    for other in policy.quarantine.get(project, ()):
        if other.filename == entry.filename or other.sha256 == entry.sha256:
            return other.yanked or "in quarantine"

    version = version_of(entry)
    for abi in policy.abis:
        verdict = policy.refused.get((project, version, abi))
        if verdict and accepts_wheel(entry.filename, abi):
            return f"{verdict} on {abi}"

    return ""


def _drop_unneeded(
    kept: dict[str, tuple[Entry, ...]],
    canary: Manifest,
    projects: Container[str],
    dependents: Dependents,
) -> None:
    """Drop the projects that the matrix has no more, unless something that stays requires them."""
    unknown = {name for name in kept if name not in canary and name not in projects}
    has_changed = True
    while has_changed:
        has_changed = False
        for project in sorted(unknown & kept.keys()):
            if not _is_needed(project, kept, dependents):
                del kept[project]
                has_changed = True


def _is_needed(project: str, kept: Manifest, dependents: Dependents) -> bool:
    """Return whether a wheel of another project that stays requires a project."""
    for other, entry in dependents.get(project, ()):
        if other == project:
            continue
        if any(is_same_file(staying, entry) for staying in kept.get(other, ())):
            return True

    return False


def _close(
    kept: dict[str, tuple[Entry, ...]],
    served: Manifest,
    lost: Collection[str],
    requirements: Requirements,
    dependents: Dependents,
    withdrawn: dict[str, str],
) -> None:
    """Withdraw what lacks a requirement that `simple/` had before, and what needs that, until nothing changes.

    Args:
        kept: what stays; it is changed.
        served: what `simple/` had.
        lost: projects that have changed.
        requirements: what wheels require.
        dependents: the wheels that require each project.
        withdrawn: gets the files that go, and why.
    """
    queue = list(lost)
    while queue:
        changed = queue.pop()
        for project, entry in dependents.get(changed, ()):
            staying = [other for other in kept.get(project, ()) if is_same_file(other, entry)]
            lack = _find_new_lack(entry, changed, kept, served, requirements) if staying else ""
            if not lack:
                continue

            withdrawn[entry.filename] = lack
            rest = tuple(other for other in kept[project] if not is_same_file(other, entry))
            if rest:
                kept[project] = rest
            else:
                del kept[project]
            queue.append(project)


def is_same_file(one: Entry, other: Entry) -> bool:
    """Return whether two entries are about one file, whatever its verdicts."""
    return (one.filename, one.sha256) == (other.filename, other.sha256)


def _find_new_lack(
    entry: Entry, project: str, after: Manifest, before: Manifest, requirements: Requirements
) -> str:
    """Return what a wheel lacks of a project that it had before, in a sentence; empty where that is nothing."""
    lacked_before = {(str(need), abi.name) for need, abi in requirements.find_lacks(entry, before)}
    for need, abi in requirements.find_lacks(entry, after):
        if need.name == project and (str(need), abi.name) not in lacked_before:
            return f"it needs {need}, of which nothing is left on {abi.name}"

    return ""


def prune_replaced(served: Manifest, canary: Manifest, requirements: Requirements) -> Manifest:
    """Return `simple/` without the releases whose successors are all promoted, unless something needs an old one.

    Args:
        served: what `simple/` would have.
        canary: what policy admits.
        requirements: what wheels require.
    """
    served_digests = project_digests(served)
    replaced: dict[str, tuple[Entry, ...]] = {}
    for project, digest in project_digests(canary).items():
        if project not in served_digests or served_digests[project] == digest:
            continue
        admitted = _index_files(canary[project])
        rest = tuple(
            entry for entry in served[project] if (entry.filename, entry.sha256) in admitted
        )
        has_others = len(rest) < len(served[project])
        if has_others and not _find_pending_of(project, served[project], canary[project]):
            replaced[project] = rest

    if replaced:
        dependents = requirements.find_dependents(served)
        for project in list(replaced):
            alone = ChainMap({project: replaced[project]}, served)  # type: ignore[arg-type]
            for _, entry in dependents.get(project, ()):
                if _find_new_lack(entry, project, alone, served, requirements):
                    del replaced[project]
                    break

    return replace_projects(served, replaced)


def record_difference(before: Manifest, after: Manifest) -> list[dict[str, Any]]:
    """Return what a rollback moved out of `simple/` and into it, as the ledger keeps it."""
    digests_before, digests_after = project_digests(before), project_digests(after)
    projects = digests_before.keys() | digests_after.keys()
    changed = [name for name in projects if digests_before.get(name) != digests_after.get(name)]

    releases: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for moved, here, there in (("out", before, after), ("in", after, before)):
        for project in sorted(changed):
            for entry in here.get(project, ()):
                if any(is_same_file(entry, other) for other in there.get(project, ())):
                    continue
                file = {"filename": entry.filename, "sha256": entry.sha256}
                file |= {"before": "", "after": entry.verdicts}
                releases.setdefault((project, version_of(entry), moved), []).append(file)

    records: list[dict[str, Any]] = []
    for (project, version, moved), files in releases.items():
        record = {"project": project, "version": version, "moved": moved, "files": files}
        records.append({**record, "gates": [], "forced": False, "needed_by": ""})

    return records
