"""What a run writes beside the index: the site, and the verdicts in formats of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.formats import badge, junit, markdown, sarif
from builder.report.history import make_history
from builder.report.site import site
from builder.store.files import replace_text

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
    rows: list[tuple[str, str, str, str, str]] = []
    for package, abi, part in document.iter_verdicts():
        rows.append((package.name, package.version, abi, part.verdict.value, part.reason))
    store.publications.add_verdicts(run, rows)

    history = make_history(store.publications.verdicts())
    data = site.SiteData(
        document=document,
        history=history,
        run=run,
        runs=_run_entries(store),
        logs=_logs_by_package(store),
    )

    folder = store.wheelhouse / "report"
    badge.write(document, folder / "badges")
    replace_text(folder / "junit.xml", junit.render(document))
    replace_text(folder / "findings.sarif", sarif.render(document))
    replace_text(folder / "summary.md", markdown.render(document, history.changes_in(run)))
    site.write_site(data, folder)


def _run_entries(store: Store) -> dict[str, site.RunEntry]:
    entries: dict[str, site.RunEntry] = {}
    for run, started_at, ended_at, outcome in store.publications.runs():
        entries[run] = site.RunEntry(
            id=run,
            started_at=started_at,
            ended_at=ended_at,
            outcome=outcome or "",
        )

    return entries


def _logs_by_package(store: Store) -> dict[str, list[tuple[str, str]]]:
    """Return (job, log) of every job of a package, by package."""
    logs: dict[str, list[tuple[str, str]]] = {}
    for job, log in sorted(store.newest_logs().items()):
        logs.setdefault(job.name, []).append((str(job), log))

    return logs
