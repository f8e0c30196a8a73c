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
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.config import catalog

if TYPE_CHECKING:
    from builder.engine.client import Engine


def _write(path: Path, rows: Iterable[str]) -> None:
    path.write_text("\n".join(sorted(rows)) + "\n")


def _query_image(engine: Engine, tag: str) -> dict[str, Any]:
    from builder.engine.client import Task
    from builder.engine.programs import program_files

    task = Task(
        image=tag,
        command=[
            "/opt/python/cp314-cp314/bin/python",
            "-m",
            "inside.audit.interfaces",
            "/result/interfaces.json",
        ],
        files=program_files("audit"),
        collect="/result/interfaces.json",
    )
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
        ended = engine.run(task, log=Path(scratch) / "log", stop=threading.Event())
    answer: dict[str, Any] = json.loads(next(iter(ended.output.values())))
    return answer


_DOCUMENTED_NAME = re.compile(r"^\.\. c:(?:function|var):: .*?\b(_Py\w+)(?:\(|$)", re.MULTILINE)


def _from_source(say: Callable[[str], None]) -> tuple[Mapping[str, str], set[str]]:
    """Read in CPython's source since when names are in the stable ABI, and which that look private are documented."""
    from builder.jobs.images import cpython

    known = catalog.load()
    release = known.releases[known.abis["cp314"].release]
    texts: dict[str, str] = {}
    with tarfile.open(cpython.fetch_source(release, say)) as archive:
        for member in archive:
            path = member.name.partition("/")[2]
            if path == "Misc/stable_abi.toml" or (
                path.startswith("Doc/c-api/") and path.endswith(".rst")
            ):
                content = archive.extractfile(member)
                assert content is not None
                texts[path] = content.read().decode()
    table = tomllib.loads(texts.pop("Misc/stable_abi.toml"))
    stable = {
        name: row["added"] for kind in ("function", "data") for name, row in table[kind].items()
    }
    return stable, {name for text in texts.values() for name in _DOCUMENTED_NAME.findall(text)}


def main() -> None:
    """Make the tables anew from the images of all bases that there is one of; of others the tables stay as they are."""
    from builder.engine import client as engines

    engine = engines.connect("interfaces")
    known = catalog.load()
    folder = catalog.images_dir() / "interfaces"
    tags = {base: engine.newest_image(f"wheelfarm/verify-{base}") for base in known.bases}
    for base in (base for base, tag in tags.items() if tag is None):
        print(
            f"{base}: there is no image of it, so its table stays; `make wheels` with it in [farm] bases makes one"
        )
    first = known.oldest(tuple(known.bases)).name
    if tags[first] is None:
        sys.exit(
            f"interpreters are looked at in the image of {first}, which is not there: run `make wheels` once"
        )
    answers = {base: _query_image(engine, tag) for base, tag in tags.items() if tag is not None}
    oldest = answers[first]
    for abi in known.abis.values():
        names = oldest["interpreters"][abi.directory]
        _write(
            folder / f"{abi.name}.txt",
            (f"{name} inline" if inline else name for name, inline in names.items()),
        )
    for base, answer in answers.items():
        _write(
            folder / f"{base}.txt",
            (" ".join((name, *versions)) for name, versions in answer["libraries"].items()),
        )
    _write(folder / "c-library.txt", oldest["c_library"])
    stable, documented = _from_source(print)
    _write(folder / "stable-abi.txt", (f"{name} {since}" for name, since in stable.items()))
    _write(folder / "documented.txt", documented)


if __name__ == "__main__":
    main()
