"""Wheels -> a package index: static files that pip and uv take as `--index-url`, over HTTP or from disk.

A project's page is replaced by renaming, files are there before a page names them and go after no page does, so the
index is complete and consistent at every moment. Pages follow PEP 503 (HTML) and PEP 691 (JSON).
"""

from __future__ import annotations

import html
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.store import written_aside

if TYPE_CHECKING:
    from pathlib import Path

    from builder.store import Store


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Entry:
    """One file of the index."""

    filename: str
    sha256: str
    requires_python: str = ""


Manifest = Mapping[str, tuple[Entry, ...]]
"""Files by canonical project name: what an index holds, whole."""


def manifest(entries: Iterable[Entry]) -> Manifest:
    """Sort files into projects. Of two with one name the first is served."""
    projects: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        project = str(parse_wheel_filename(entry.filename)[0])
        projects.setdefault(project, {}).setdefault(entry.filename, entry)
    return {name: tuple(sorted(projects[name].values())) for name in sorted(projects)}


def pages(content: Manifest) -> Iterator[tuple[str, str]]:
    """Give every page as (path relative to the wheelhouse, text), the root page last."""
    for project, entries in content.items():
        yield f"simple/{project}/index.html", _html(f"Links for {project}", (_link(entry) for entry in entries))
        yield f"simple/{project}/index.json", _json(project, entries)
    links = (f'<a href="{project}/">{project}</a>' for project in content)
    yield "simple/index.html", _html("Simple index", links)
    names = [{"name": project} for project in content]
    yield "simple/index.json", json.dumps({"meta": {"api-version": "1.0"}, "projects": names})


def publish(content: Manifest, store: Store) -> None:
    """Make `wheelhouse/simple/` hold exactly what the manifest says."""
    root = store.wheelhouse / "simple"
    root.mkdir(exist_ok=True)
    for project, entries in content.items():
        (root / project).mkdir(exist_ok=True)
        for entry in entries:
            _place(store.file(entry.sha256), root / project / entry.filename)
    for path, text in pages(content):
        _write(store.wheelhouse / path, text)
    _sweep(root, content)


def _html(title: str, links: Iterable[str]) -> str:
    body = "\n".join(f"{link}<br>" for link in links)
    head = '<meta charset="utf-8">\n<meta name="pypi:repository-version" content="1.0">\n'
    head += f"<title>{html.escape(title)}</title>"
    return f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n"


def _link(entry: Entry) -> str:
    name = html.escape(entry.filename)
    requires = f' data-requires-python="{html.escape(entry.requires_python)}"' if entry.requires_python else ""
    return f'<a href="{name}#sha256={entry.sha256}"{requires}>{name}</a>'


def _json(project: str, entries: Iterable[Entry]) -> str:
    files = [
        {
            "filename": entry.filename,
            "url": entry.filename,
            "hashes": {"sha256": entry.sha256},
            **({"requires-python": entry.requires_python} if entry.requires_python else {}),
        }
        for entry in entries
    ]
    return json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": files})


def _place(source: Path, target: Path) -> None:
    """Put a file of the store into the index: the same bytes on disk where the file system can."""
    if target.exists() and target.samefile(source):
        return
    with written_aside(target) as aside:
        aside.unlink()
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)


def _write(target: Path, text: str) -> None:
    if not target.exists() or target.read_text() != text:
        with written_aside(target) as aside:
            aside.write_text(text)


def _sweep(root: Path, content: Manifest) -> None:
    """Remove what no page names any more."""
    for folder in root.iterdir():
        if not folder.is_dir():
            continue
        if folder.name not in content:
            for page in ("index.html", "index.json"):
                (folder / page).unlink(missing_ok=True)
            shutil.rmtree(folder)
            continue
        kept = {"index.html", "index.json", *(entry.filename for entry in content[folder.name])}
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()
