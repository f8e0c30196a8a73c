"""Ids of jobs."""

from __future__ import annotations


def job_kind(job: str) -> str:
    """Return the kind in a job's id."""
    return job.partition(":")[0]


def job_package(job: str) -> str:
    """Return the package in a job's id; of a job that makes an image, the image."""
    return job.partition(":")[2].partition("@")[0]
