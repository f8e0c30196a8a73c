"""What a run leaves beside the index: the site, and the verdicts in forms that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.formats import badge, junit, markdown, sarif
from builder.report.history import history
from builder.report.site import site
from builder.store.files import replace_text
from builder.store.job_ids import package_of

if TYPE_CHECKING:
    from builder.report.document import Document
    from builder.store.store import Store


def write(document: Document, store: Store, run: str) -> None:
    """Remember a run's verdicts and write `report/`.

    Args:
        document: the verdicts.
        store: the wheelhouse; the caller holds its lock.
        run: the run they are of.
    """
    store.add_verdicts(
        run,
        (
            (package.name, package.version, abi, part.verdict, part.reason)
            for package in document.packages
            for abi, part in package.abis.items()
        ),
    )
    folder = store.wheelhouse / "report"
    past = history(store.verdicts())
    runs = {
        key: site.Run(id=key, started_at=start, ended_at=end, outcome=outcome or "")
        for key, start, end, outcome in store.runs()
    }
    material = site.Material(document=document, history=past, run=run, runs=runs, logs=_logs(store))
    badge.write(document, folder / "badges")
    replace_text(folder / "junit.xml", junit.render(document))
    replace_text(folder / "findings.sarif", sarif.render(document))
    replace_text(folder / "summary.md", markdown.render(document, past.changes(run)))
    site.write(material, folder)


def _logs(store: Store) -> dict[str, list[tuple[str, str]]]:
    """Return (job, log) of every job of a package, by package."""
    logs: dict[str, list[tuple[str, str]]] = {}
    for job, log in sorted(store.logs().items()):
        logs.setdefault(package_of(job), []).append((job, log))
    return logs
