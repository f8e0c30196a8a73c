"""What a shard says of its jobs: of exactly the jobs that it was to run, each under the key that is computed again.

Whether keys have one result only, with other shards and with this machine, is decided in shard_intake.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import sources as package_sources
from builder.config import catalog
from builder.config.effort import EFFORTS
from builder.config.matrix import Package
from builder.distributions.identity import explain_mismatch
from builder.distributions.tags import accepts_wheel
from builder.evidence.base import MalformedFactsError, UndeterminedFacts
from builder.evidence.kinds import MODELS, schema_version
from builder.farm.shard_record import RECORD_FILE, EvidenceRecord
from builder.farm.shard_results import ShardResults
from builder.jobs.images.ids import ORDER_ONLY
from builder.plan import graph
from builder.plan.graph import Plan
from builder.store.evidence import JobOutcome
from builder.store.job_ids import JobKind
from builder.untrusted.names import FileName
from builder.untrusted.text import UnfitJsonError, clean_json, parse_answer

if TYPE_CHECKING:
    from builder.config.matrix import Matrix
    from builder.store.evidence import Evidence

_ASKED_LIMIT = 64 << 10
"""Characters of the hashes of what a job was asked with; a job has less than 2 KiB."""


def check_evidence(shard: ShardResults, matrix: Matrix) -> None:
    """Check that the evidence is that of exactly the jobs that the shard was to run, each under the key it has to have.

    Raises:
        MergeError: a job is missing or not the shard's, its key is another, or its facts do not fit.
    """
    plan = _plan_shard(shard, matrix)
    for job in shard.evidence:
        if job not in plan.jobs:
            reason = f"{RECORD_FILE}: evidence of {job}, which is no job of this shard"
            raise shard.refuse(reason)

    # Jobs come after those they need: what a key stands on is checked when its turn comes.
    for job_id in plan.jobs:
        recorded = shard.evidence.get(job_id)
        if recorded is None:
            raise shard.refuse(f"{RECORD_FILE}: it has no result of {job_id}")

        _check_facts(shard, recorded)
        if job_id.kind != JobKind.IMAGE:
            _check_key(shard, plan, recorded)
            _check_result(shard, plan, recorded)


def _plan_shard(shard: ShardResults, matrix: Matrix) -> Plan:
    """Return the jobs that a run of the shard had, as `builder.farm.prepare.make_plan` plans them.

    Raises:
        MergeError: patches of its packages cannot be read on this machine.
    """
    found = shard.sources.found
    if not found:
        return Plan(jobs={})

    patches, faults = package_sources.read_patches(matrix, found)
    for name, fault in faults.items():
        raise shard.refuse(
            f"the patches of {name} cannot be read here: {fault.detail}",
            "merge where the matrix has its patches beside it",
        )

    effort = EFFORTS.get(shard.record.effort)
    return graph.make_plan(matrix, found, patches, catalog.load(), Package(), effort)


def _check_facts(shard: ShardResults, recorded: EvidenceRecord) -> None:
    """Refuse facts (a job's structured answer) that do not fit this farm's model of that kind of job.

    Raises:
        MergeError: a newer farm wrote the facts, or they are malformed; or a job without a result has files.
    """
    job = recorded.job
    known_version = schema_version(job.kind)
    if recorded.facts_version > known_version:
        reason = f"the facts of {job} are of version {recorded.facts_version}, and this farm knows {known_version}"
        raise shard.refuse(reason, "merge with the newer wheelfarm")

    is_determined = recorded.outcome is not JobOutcome.UNDETERMINED
    try:
        model = MODELS[job.kind] if is_determined else UndeterminedFacts
        model.check(recorded.facts)
        # JSON of a bounded number of items: what is allowed to have further fields may have anything in them.
        clean_json(recorded.facts)
    except (MalformedFactsError, UnfitJsonError) as error:
        reason = f"the facts of {job}: {error}"
        raise shard.refuse(reason) from None  # the message has the cause

    if not is_determined and recorded.files:
        raise shard.refuse(f"{RECORD_FILE}: {job} has no result, and has files")
    _check_asked(shard, recorded)


def _check_asked(shard: ShardResults, recorded: EvidenceRecord) -> None:
    """Refuse what is no JSON object of texts where a job says with what it was asked.

    Raises:
        MergeError: it is something else.
    """
    if not recorded.asked:
        return

    try:
        asked = parse_answer(recorded.asked.encode(), _ASKED_LIMIT)
        is_fit = isinstance(asked, dict) and all(isinstance(text, str) for text in asked.values())
    except UnfitJsonError:
        is_fit = False
    if not is_fit:
        raise shard.refuse(f"{RECORD_FILE}: {recorded.job}: `asked` is no object of hashes")


def _check_key(shard: ShardResults, plan: Plan, recorded: EvidenceRecord) -> None:
    """Check that evidence is recorded under the key that the job's settings and the shard's other results give.

    A job without a result, and one whose inputs have none, has perhaps no key, and is never recorded.

    Raises:
        MergeError: it has another key, so that it would answer for another question or another job.
    """
    job = plan.jobs[recorded.job]
    is_determined = recorded.outcome is not JobOutcome.UNDETERMINED
    inputs: dict[str, Evidence] = {}
    for role, need in job.needs.items():
        if need in ORDER_ONLY:
            continue
        evidence = shard.evidence[need].to_evidence()
        if evidence.is_determined:
            inputs[role] = evidence
        elif is_determined:
            raise shard.refuse(f"{RECORD_FILE}: {recorded.job} has a result, and {need} has none")
        else:
            return

    try:
        key = job.key(inputs)
    except Exception as error:  # facts of another machine may be anything
        reason = f"the key of {recorded.job} cannot be told from its inputs ({type(error).__name__}: {error})"
        raise shard.refuse(reason) from None  # the message has the cause

    if recorded.key != key and (is_determined or recorded.key):
        reason = f"{RECORD_FILE}: {recorded.job}: its key is not the one that its inputs and this wheelfarm give"
        raise shard.refuse(reason)


def _check_result(shard: ShardResults, plan: Plan, recorded: EvidenceRecord) -> None:
    """Check that a job's facts are about the wheels that the shard's build of the package made, and about no others.

    Raises:
        MergeError: they are about another wheel, or a build's wheels are not those of its facts or of its package.
    """
    if recorded.outcome is JobOutcome.UNDETERMINED:
        return

    job = recorded.job
    if job.kind == JobKind.BUILD:
        _check_build(shard, recorded)
        return

    build = shard.evidence[plan.jobs[job].needs["build"]]
    made = _made_wheels(build)
    facts = recorded.facts
    if job.kind == JobKind.AUDIT:
        released = {wheel.filename for wheel in shard.sources.found[job.name].wheels}
        is_about_build = facts["wheels"].keys() == build.files.keys()
        is_about_build = is_about_build and released.issuperset(facts.get("upstream", {}))
    elif job.kind == JobKind.LOAD:
        loaded = {abi: load["wheel"] for abi, load in facts["loads"].items()}
        is_about_build = loaded == made
    elif job.kind in {JobKind.RACE, JobKind.EXERCISE, JobKind.SPEED}:
        is_about_build = facts["wheel"] is None or facts["wheel"] in made.values()
    else:
        is_about_build = True

    if not is_about_build:
        raise shard.refuse(
            f"{RECORD_FILE}: {job}: its facts are about other wheels than its build made"
        )


def _made_wheels(build: EvidenceRecord) -> dict[str, str]:
    """Return the file name of the wheel that a build made, by ABI."""
    wheels: dict[str, str] = {}
    for abi, outcome in build.facts["abis"].items():
        if outcome.get("wheel") is not None:
            wheels[abi] = outcome["wheel"]

    return wheels


def _check_build(shard: ShardResults, build: EvidenceRecord) -> None:
    """Check that a build's files are the wheels of its facts, each named as one of its package for its ABI.

    Raises:
        MergeError: they are not.
    """
    made = _made_wheels(build)
    source = shard.sources.found[build.job.name]
    if set(made.values()) != build.files.keys():
        raise shard.refuse(f"{RECORD_FILE}: {build.job}: its files are not the wheels of its facts")

    released = {(wheel.abi, wheel.filename, wheel.sha256) for wheel in source.wheels}
    for abi, filename in made.items():
        is_upstream = build.facts["abis"][abi].get("origin") == "upstream"
        sha256 = build.files[FileName(filename)]
        if is_upstream and (abi, filename, sha256) not in released:
            raise shard.refuse(
                f"{RECORD_FILE}: {build.job}: {filename} is none of upstream's wheels for {abi}"
            )
        mismatch = explain_mismatch(source.project, source.version, filename)
        if not mismatch and not accepts_wheel(filename, abi):
            mismatch = f"{filename} is no wheel for {abi}"
        if mismatch:
            raise shard.refuse(f"{RECORD_FILE}: {build.job}: {mismatch}")
