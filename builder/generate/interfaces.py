"""Tables of what interpreters export, bases ship and manylinux tags promise, made from the images of a run.

Usage: python -m builder.generate.interfaces
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.config import catalog
from builder.config.catalog import interpreter_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from builder.engine.client import Engine

_DOCUMENTED_NAME = re.compile(r"^\.\. c:(?:function|var):: .*?\b(_Py\w+)(?:\(|$)", re.MULTILINE)
"""A name with the underscore of private API that the manual of CPython's C API describes nevertheless."""


def _write(path: Path, rows: Iterable[str]) -> None:
    path.write_text("\n".join(sorted(rows)) + "\n")


def _query_image(engine: Engine, tag: str) -> dict[str, Any]:
    """Run the program that lists exported names and libraries in an image, and return its answer."""
    from builder.engine.programs import program_files
    from builder.engine.tasks import Task

    task = Task(
        image=tag,
        command=[
            interpreter_path("cp314-cp314"),
            "-m",
            "inside.audit.interfaces",
            "/result/interfaces.json",
        ],
        files=program_files("audit"),
        collect="/result/interfaces.json",
    )
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
        task_result = engine.run(task, log=Path(scratch) / "log", stop=threading.Event())

    (content,) = task_result.output.values()
    answer: dict[str, Any] = json.loads(content)
    return answer


def _read_documented(say: Callable[[str], None]) -> set[str]:
    """Return the names that look private and that the manual of CPython's C API describes, from CPython's source.

    Args:
        say: shows progress of the download.
    """
    from builder.jobs.images import cpython

    catalog_tables = catalog.load()
    release = catalog_tables.releases[catalog_tables.abis["cp314"].release]

    documented: set[str] = set()
    with tarfile.open(cpython.fetch_source(release, say)) as archive:
        for member in archive:
            path = member.name.partition("/")[2]
            if path.startswith("Doc/c-api/") and path.endswith(".rst"):
                page = archive.extractfile(member)
                assert page is not None, "it is a file"
                documented.update(_DOCUMENTED_NAME.findall(page.read().decode()))

    return documented


def _find_images(engine: Engine, bases: Iterable[str]) -> dict[str, str]:
    """Return the tag of the newest image of each base; a base without an image is left out, and a message says so."""
    images: dict[str, str] = {}
    for base in bases:
        tag = engine.images.find_newest(f"wheelfarm/verify-{base}")
        if tag is None:
            print(
                f"{base}: there is no image of it, so its table stays; `make wheels` with it in [farm] bases makes one"
            )
        else:
            images[base] = tag

    return images


def main() -> None:
    """Write the tables from the images of all bases; where a base has no image, its table stays as it is.

    Interpreters and the C library are looked at in the oldest base, whose image must exist.
    """
    from builder.engine import connection

    engine = connection.connect("interfaces")
    catalog_tables = catalog.load()
    folder = catalog.images_dir() / "interfaces"

    images = _find_images(engine, catalog_tables.bases)
    oldest_base = catalog_tables.oldest(tuple(catalog_tables.bases)).name
    if oldest_base not in images:
        sys.exit(
            f"interpreters are looked at in the image of {oldest_base}, which is not there: run `make wheels` once"
        )

    answers = {base: _query_image(engine, tag) for base, tag in images.items()}
    oldest_answer = answers[oldest_base]
    for abi in catalog_tables.abis.values():
        _write(
            folder / f"{abi.name}.txt",
            _interpreter_rows(oldest_answer["interpreters"][abi.directory]),
        )
    for base, answer in answers.items():
        _write(folder / f"{base}.txt", _library_rows(answer["libraries"]))
    _write(folder / "c-library.txt", oldest_answer["c_library"])

    _write(folder / "documented.txt", _read_documented(print))


def _interpreter_rows(names: Mapping[str, bool]) -> list[str]:
    """Return a row for each name that an interpreter exports: `PyList_New`, or `_Py_Dealloc inline`.

    Args:
        names: by name, whether a macro or inline function of the public headers uses it.
    """
    rows: list[str] = []
    for name, is_inline in names.items():
        rows.append(f"{name} inline" if is_inline else name)

    return rows


def _library_rows(libraries: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a row for each library of a base: its name, then the symbol versions that it offers."""
    return [" ".join((name, *versions)) for name, versions in libraries.items()]


if __name__ == "__main__":
    main()
