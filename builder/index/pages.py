"""A manifest -> pages, in HTML (PEP 503) and JSON (PEP 691), with PEP 592, 658, 700 and 714."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import parse_wheel_filename

from builder.index.manifest import SERVED_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from builder.index.manifest import Entry, Manifest

PAGES = ("index.html", "index.json")
"""File names of a page's two forms."""


CONTENT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'"
"""What a page may load and run: nothing. Where text from a package were not escaped, it would still run no script."""


def render_pages(content: Manifest, channel: str = SERVED_CHANNEL) -> Iterator[tuple[str, str]]:
    """Iterate over every page of a channel as (path relative to the wheelhouse, text), the root page last."""
    for project, entries in content.items():
        for name, text in project_pages(project, entries):
            yield f"{channel}/{project}/{name}", text
    for name, text in root_pages(content):
        yield f"{channel}/{name}", text


def project_pages(project: str, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Iterate over a project's page in its two forms, HTML and JSON, as (file name, text)."""
    links = [_link(entry) for entry in entries]
    yield "index.html", _html(f"Links for {project}", links)
    yield "index.json", _json(project, entries)


def root_pages(projects: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Iterate over the root page, which lists all projects, in its two forms, HTML and JSON, as (file name, text)."""
    names = list(projects)
    links = [f'<a href="{quote(name)}/">{html.escape(name)}</a>' for name in names]
    page = {
        "meta": {"api-version": "1.1"},
        "projects": [{"name": name} for name in names],
    }

    yield "index.html", _html("Simple index", links)
    yield "index.json", json.dumps(page)


def _html(title: str, links: Iterable[str]) -> str:
    """Return a page in the HTML form of PEP 503, with one link a line."""
    body = "\n".join(f"{link}<br>" for link in links)
    head = '<meta charset="utf-8">\n<meta name="pypi:repository-version" content="1.1">\n'
    head += f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">\n'
    head += '<meta name="referrer" content="no-referrer">\n'
    head += f"<title>{html.escape(title)}</title>"
    return f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n"


def _link(entry: Entry) -> str:
    """Return a file's link: `<a href="FILE#sha256=…" data-requires-python="…">FILE</a>`.

    Attributes without a value are left out.
    """
    attributes = {"data-requires-python": entry.requires_python, "data-yanked": entry.yanked}
    if entry.metadata:
        # PEP 714 renamed it; clients older than that read the second name.
        attributes["data-core-metadata"] = f"sha256={entry.metadata}"
        attributes["data-dist-info-metadata"] = f"sha256={entry.metadata}"

    target = f"{html.escape(entry.path)}#sha256={entry.sha256}"
    text = f'<a href="{target}"'
    for key, value in attributes.items():
        if value:
            text += f' {key}="{html.escape(value)}"'

    return f"{text}>{html.escape(entry.filename)}</a>"


def _json(project: str, entries: Sequence[Entry]) -> str:
    """Return a project's page in the JSON form of PEP 691."""
    # PEP 700 asks for every file's size, so an index that does not know them speaks the version before it.
    has_sizes = all(entry.size_bytes for entry in entries)
    page: dict[str, Any] = {
        "meta": {"api-version": "1.1" if has_sizes else "1.0"},
        "name": project,
    }
    if has_sizes:
        versions = {parse_wheel_filename(entry.filename)[1] for entry in entries}
        page["versions"] = [str(version) for version in sorted(versions)]
    page["files"] = [_file(entry) for entry in entries]

    return json.dumps(page)


def _file(entry: Entry) -> dict[str, Any]:
    """Return a file's object in the JSON form of PEP 691. Optional keys without a value are left out."""
    optional: dict[str, Any] = {"requires-python": entry.requires_python}
    if entry.metadata:
        optional["core-metadata"] = {"sha256": entry.metadata}
        optional["dist-info-metadata"] = {"sha256": entry.metadata}
    optional["size"] = entry.size_bytes
    optional["upload-time"] = entry.uploaded_at
    optional["yanked"] = entry.yanked

    return {
        "filename": entry.filename,
        "url": entry.path,
        "hashes": {"sha256": entry.sha256},
        **{key: value for key, value in optional.items() if value},
    }
