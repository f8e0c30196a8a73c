"""What a run leaves beside the index: the site, and the verdicts in forms that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.formats import badge, junit, markdown, sarif
from builder.report.history import make_history
from builder.report.site import site
from builder.store.files import replace_text
from builder.store.job_ids import job_package

if TYPE_CHECKING:
    from builder.report.document import Document
    from builder.store.store import Store


def write_report(document: Document, store: Store, run: str) -> None:
    """Remember a run's verdicts and write `report/`.

    Args:
        document: the verdicts.
        store: the wheelhouse; the caller holds its lock.
        run: the run they are of.
    """
    store.publications.add_verdicts(
        run,
        (
            (package.name, package.version, abi, part.verdict, part.reason)
            for package in document.packages
            for abi, part in package.abis.items()
        ),
    )
    folder = store.wheelhouse / "report"
    past = make_history(store.publications.verdicts())
    runs = {
        key: site.RunEntry(id=key, started_at=start, ended_at=end, outcome=outcome or "")
        for key, start, end, outcome in store.publications.runs()
    }
    material = site.SiteData(
        document=document, history=past, run=run, runs=runs, logs=_logs_by_package(store)
    )
    badge.write(document, folder / "badges")
    replace_text(folder / "junit.xml", junit.render(document))
    replace_text(folder / "findings.sarif", sarif.render(document))
    replace_text(folder / "summary.md", markdown.render(document, past.changes_in(run)))
    site.write_site(material, folder)


def _logs_by_package(store: Store) -> dict[str, list[tuple[str, str]]]:
    """Return (job, log) of every job of a package, by package."""
    logs: dict[str, list[tuple[str, str]]] = {}
    for job, log in sorted(store.newest_logs().items()):
        logs.setdefault(job_package(job), []).append((job, log))
    return logs
