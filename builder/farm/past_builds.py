"""What building packages came to in earlier runs, where upstream's wheels are taken now and one is lacking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.evidence.base import EvidenceError
from builder.evidence.build import BuildFacts
from builder.jobs.job import hash_key_part
from builder.judge.ways_out import PastBuild
from builder.store.job_ids import JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.sources import Source
    from builder.store.store import Store


def find_past_builds(
    sources: Mapping[str, Source], store: Store
) -> dict[str, dict[str, PastBuild]]:
    """Return what is known of building the sdists of packages for ABIs that upstream has no wheel for.

    Args:
        sources: the packages, by name.
        store: has the evidence of earlier runs.

    Returns:
        The newest outcome of each ABI, by package and ABI; nothing for a package that was never built.
    """
    past: dict[str, dict[str, PastBuild]] = {}
    for name, source in sources.items():
        if source.lacking and source.sha256 and not source.is_built:
            past[name] = _find_outcomes(source, store)

    return past


def _find_outcomes(source: Source, store: Store) -> dict[str, PastBuild]:
    """Return by ABI what the newest build of a package's sdist came to."""
    # The same as `Build.settings()` has it: what was built from another file says nothing of this one.
    sdist = hash_key_part((source.project, source.version, source.filename, source.sha256))
    outcomes: dict[str, PastBuild] = {}
    for recorded in store.all_evidence_of(JobKind.BUILD, source.name):
        parts = json.loads(recorded.asked or "{}")
        if parts.get("sdist") != sdist:
            continue  # of another release, or none that was built
        try:
            facts = BuildFacts.read(recorded)
        except EvidenceError:
            continue  # advice is no evidence: one that cannot be read tells nothing
        for abi, outcome in facts.abis.items():
            failure = outcome.failure or outcome.stands_for
            outcomes[abi] = PastBuild(base=recorded.job.base, failure=failure)

    return outcomes
