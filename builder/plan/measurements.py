"""Which ways to run an application are measured, what each is compared with, and the jobs for that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.config.catalog import Comparison
from builder.jobs.images.packages import PackagesImage
from builder.jobs.measurement import Variant
from builder.plan.graph import Plan
from builder.plan.images import image_jobs, measure_image_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi, Catalog, Interpreter
    from builder.jobs.job import Job
    from builder.jobs.measurement import Measurement
    from builder.store.job_ids import JobId

_JIT_SWITCHES = {"off": "0", "on": "1"}
"""How an interpreter that has a JIT is run, and what PYTHON_JIT is then."""

_AGAIN = "again"
"""What the equal copy of a baseline is called: `cp313 again`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A way to run an application, with any number of threads.

    Attributes:
        title: what people are shown: `cp314-jit on`.
        environment: name of the environment.
        variables: of a process.
    """

    title: str
    environment: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Ways that are compared with one of them.

    Attributes:
        baseline: what the others are compared with.
        others: the others.
    """

    baseline: Way
    others: tuple[Way, ...]


def list_ways(interpreters: Iterable[Interpreter]) -> Iterator[Way]:
    """Iterate over the ways to run an application with some interpreters: with and without the JIT where one has it."""
    for interpreter in interpreters:
        if not interpreter.has_jit:
            yield Way(title=interpreter.name, environment=interpreter.name)
            continue

        for state, value in _JIT_SWITCHES.items():
            yield Way(
                title=f"{interpreter.name} {state}",
                environment=interpreter.name,
                variables={"PYTHON_JIT": value},
            )


def plan_variants(groups: Sequence[Group], thread_counts: Iterable[int]) -> tuple[Variant, ...]:
    """Return what is measured: every way with each number of threads, beside its baseline with as many.

    Each baseline is measured once more as a control: where two equal variants differ, the machine cannot measure.

    Args:
        groups: what is compared with what.
        thread_counts: numbers of threads.
    """
    variants: list[Variant] = []
    for threads in sorted(set(thread_counts)):
        for group in groups:
            baseline = _make_variant(group.baseline, threads)
            variants.append(baseline)
            again = Way(
                title=f"{group.baseline.title} {_AGAIN}",
                environment=group.baseline.environment,
                variables=group.baseline.variables,
            )
            variants.append(_make_variant(again, threads, baseline.name, is_control=True))
            for way in group.others:
                variants.append(_make_variant(way, threads, baseline.name))

    return tuple(variants)


def _make_variant(
    way: Way, threads: int, baseline: str = "", *, is_control: bool = False
) -> Variant:
    return Variant(
        name=f"{way.title}/{threads}",
        title=way.title,
        environment=way.environment,
        threads=threads,
        variables=way.variables,
        baseline=baseline,
        is_control=is_control,
    )


def plan_measurements(
    jobs: Sequence[Measurement],
    interpreters: Sequence[Interpreter],
    catalog: Catalog,
    abis: tuple[Abi, ...],
    bases: tuple[str, ...],
) -> Plan:
    """Return the jobs that measure applications, each after the images that it needs.

    Args:
        jobs: what is measured, all on one base.
        interpreters: those that are measured with; what of them wheels are only compared with is compiled.
        catalog: bases and interpreters.
        abis: of the matrix: their interpreters are in one image, as for a run.
        bases: names of all bases of the matrix, as for a run.
    """
    base = jobs[0].base
    comparisons = tuple(one for one in interpreters if isinstance(one, Comparison))
    all_bases = tuple(dict.fromkeys((*bases, base)))

    planned: dict[JobId, Job] = {}
    for image in image_jobs(all_bases, (), catalog, abis):
        planned[image.id] = image
    for image in measure_image_jobs(base, comparisons, catalog):
        planned[image.id] = image
    for job in jobs:
        if job.packages:
            packages_image = PackagesImage(base=base, packages=job.packages, role="measure")
            planned[packages_image.id] = packages_image
        planned[job.id] = job

    return Plan(jobs=planned).subset_for(job.id for job in jobs)
