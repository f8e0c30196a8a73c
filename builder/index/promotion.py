"""Which releases a promotion moves to `simple/`, with what they need; which it refuses, and why. Pure."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from builder.index.gates import ask_gates
from builder.index.manifest import replace_projects
from builder.index.requirements import satisfies
from builder.index.rollout import find_pending, prune_replaced, version_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

    from builder.config.catalog import Abi
    from builder.index.gates import GateResult, Rules
    from builder.index.manifest import Entry, Manifest
    from builder.index.requirements import Requirements
    from builder.index.rollout import PendingRelease


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A pending release, with what is said of its promotion.

    Attributes:
        gates: what each gate says.
        refusal: why it was asked for and is not promoted; empty otherwise.
        is_forced: whether it is promoted though a gate refuses.
        needed_by: the release for whose sake it is promoted; empty where it was asked for itself.
    """

    release: PendingRelease
    gates: tuple[GateResult, ...]
    refusal: str = ""
    is_forced: bool = False
    needed_by: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether every gate lets it pass."""
        return all(result.has_passed for result in self.gates)

    def describe_refusals(self) -> str:
        """Return what the gates that refuse say, in one line."""
        refusals = [result for result in self.gates if not result.has_passed]
        return "; ".join(f"gate {result.gate}: {result.reason}" for result in refusals)

    def record(self) -> dict[str, Any]:
        """Return it as the ledger keeps what was promoted."""
        files: list[dict[str, str]] = []
        for file in self.release.files:
            part = {
                "filename": file.entry.filename,
                "sha256": file.entry.sha256,
                "before": file.before,
                "after": file.entry.verdicts,
            }
            files.append(part)

        return {
            "project": self.release.project,
            "version": self.release.version,
            "moved": "in",
            "files": files,
            "gates": [result.record() for result in self.gates],
            "forced": self.is_forced,
            "needed_by": self.needed_by,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What a promotion does.

    Attributes:
        promoted: releases that move to `simple/`.
        refused: releases that were asked for and stay, each with why.
        served: the content of `simple/` afterwards.
    """

    promoted: tuple[Candidate, ...]
    refused: tuple[Candidate, ...]
    served: Manifest


def list_candidates(served: Manifest, canary: Manifest, rules: Rules) -> tuple[Candidate, ...]:
    """Return every pending release with what each gate says of it."""
    return tuple(
        Candidate(release=release, gates=ask_gates(release, rules))
        for release in find_pending(served, canary)
    )


def plan_promotion(
    candidates: Sequence[Candidate],
    wanted: Collection[str],
    served: Manifest,
    canary: Manifest,
    requirements: Requirements,
    *,
    forced: bool = False,
) -> Promotion:
    """Return what a promotion of some releases does.

    What a release needs and `simple/` lacks is promoted along, if it passes its own gates; where it does not, the
    release is refused. What `canary/` lacks as well is no reason: policy has admitted the release without it.

    Args:
        candidates: every pending release.
        wanted: names of the releases to promote, `numpy==2.4.0`.
        served: the content of `simple/`.
        canary: the content of `canary/`.
        requirements: what wheels require.
        forced: whether the releases that are named pass whatever their gates say. What they need is not named.
    """
    refused: dict[str, Candidate] = {}
    ready: dict[str, Candidate] = {}
    for candidate in candidates:
        name = candidate.release.name
        if name not in wanted:
            continue
        if candidate.has_passed or forced:
            ready[name] = replace(candidate, is_forced=not candidate.has_passed)
        else:
            refused[name] = replace(candidate, refusal=candidate.describe_refusals())

    search = _Search(candidates, served, canary, requirements)
    chosen, lacking = search.run(ready)
    for name, reason in lacking.items():
        if name in ready:
            refused[name] = replace(ready[name], is_forced=False, refusal=reason)

    changes: dict[str, tuple[Entry, ...]] = {}
    for candidate in chosen.values():
        project = candidate.release.project
        before = changes.get(project, served.get(project, ()))
        changes[project] = _apply(candidate.release, before, canary)
    after = replace_projects(served, changes)

    return Promotion(
        promoted=tuple(chosen.values()),
        refused=tuple(refused.values()),
        served=prune_replaced(after, canary, requirements),
    )


def _apply(release: PendingRelease, served: Iterable[Entry], canary: Manifest) -> tuple[Entry, ...]:
    """Return what `simple/` has of a project once a release is promoted: all that `canary/` has of the release."""
    promoted = [entry for entry in canary[release.project] if version_of(entry) == release.version]
    names = {entry.filename for entry in promoted}
    others = [entry for entry in served if entry.filename not in names]
    return tuple(sorted([*others, *promoted]))


class _Search:
    """Finds what has to be promoted along, until nothing that is promoted lacks what it needs."""

    def __init__(
        self,
        candidates: Iterable[Candidate],
        served: Manifest,
        canary: Manifest,
        requirements: Requirements,
    ) -> None:
        self._served = served
        self._canary = canary
        self._requirements = requirements
        self._by_project: dict[str, list[Candidate]] = {}  # the newest release first
        for candidate in candidates:
            self._by_project.setdefault(candidate.release.project, []).insert(0, candidate)

    def run(self, ready: Mapping[str, Candidate]) -> tuple[dict[str, Candidate], dict[str, str]]:
        """Return what is promoted, and why other releases are not, both by name.

        Args:
            ready: releases that were asked for and whose gates are passed or forced.
        """
        lacking: dict[str, str] = {}
        while True:
            chosen = {name: item for name, item in ready.items() if name not in lacking}
            found = self._complete(chosen, lacking)
            if not found:
                return chosen, lacking
            # Without these, what was promoted for their sake alone has no reason any more: begin again.
            lacking |= found

    def _complete(self, chosen: dict[str, Candidate], lacking: Mapping[str, str]) -> dict[str, str]:
        """Add what the chosen releases need to them; return why some cannot be promoted, by name."""
        overlay: dict[str, tuple[Entry, ...]] = {}
        after = ChainMap(overlay, self._served)  # type: ignore[arg-type]  # it is only read
        for candidate in chosen.values():
            project = candidate.release.project
            overlay[project] = _apply(candidate.release, after.get(project, ()), self._canary)

        refused: dict[str, str] = {}
        queue = list(chosen.values())
        while queue:
            candidate = queue.pop()
            for file in candidate.release.files:
                for need, abi in self._requirements.find_lacks(file.entry, after):
                    found = self._find_supplier(need, abi, chosen, lacking)
                    if isinstance(found, str):
                        refused[candidate.release.name] = f"it needs {need}: {found}"
                    elif found is not None:
                        helper = replace(found, needed_by=candidate.release.name)
                        project = helper.release.project
                        chosen[helper.release.name] = helper
                        overlay[project] = _apply(
                            helper.release, after.get(project, ()), self._canary
                        )
                        queue.append(helper)

        return {name: reason for name, reason in refused.items() if name not in lacking}

    def _find_supplier(
        self,
        need: Requirement,
        abi: Abi,
        chosen: Mapping[str, Candidate],
        lacking: Mapping[str, str],
    ) -> Candidate | str | None:
        """Return the pending release to promote for a requirement, or why none can be; None where there is none."""
        refusal: str | None = None
        for candidate in self._by_project.get(need.name, ()):
            name = candidate.release.name
            if not any(satisfies(file.entry, need, abi) for file in candidate.release.files):
                continue
            if name in chosen:
                return None  # it is there by now
            if name in lacking:
                refusal = refusal or f"{name} is not promoted, as {lacking[name]}"
            elif candidate.has_passed:
                return candidate
            else:
                refusal = refusal or f"{name} is not promoted ({candidate.describe_refusals()})"

        return refusal
