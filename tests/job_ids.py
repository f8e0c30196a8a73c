"""Ids of jobs by their text, and what tests do with jobs."""

from collections.abc import Mapping

from builder.jobs.job import Inputs, Job, list_needs
from builder.plan.graph import Plan
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId

job_id = JobId.parse


def jobs_by_text(plan: Plan) -> dict[str, Job]:
    """Return the jobs of a plan by the text of their ids."""
    return {str(job): plan.jobs[job] for job in plan.jobs}


def needs_text(job: Job) -> tuple[str, ...]:
    """Return the text of the ids of what a job needs."""
    return tuple(map(str, list_needs(job)))


def inputs_of(job: Job, ended: Mapping[JobId, Evidence]) -> Inputs:
    """Return the evidence of what a job needs, by role."""
    return {role: ended[need] for role, need in job.needs.items()}
