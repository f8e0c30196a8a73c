"""Whether anything at all changed since the last whole run: then there is nothing to look up, to judge or to write.

The seal of a run is a hash of everything its keys, verdicts and pages go by: matrix, sources, patches, effort and the
farm's own files. It is set once all of that is published, and only where every job found out what it was asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import catalog, host
from builder.index import SERVED
from builder.store import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.matrix import Matrix
    from builder.sources import Sources
    from builder.store import Evidence, Store
    from builder.verdict import Judged

_NAME = "seal"
_LEFT = ("verdicts.json", "report/index.html", f"{SERVED}/.published")
"""Files a whole run leaves, by which it is told that nobody removed its results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seal:
    """What a whole run left.

    Attributes:
        of: hash of everything the run went by.
        run: its id.
        snapshot: what it published.
        left: size and time of the files it left, by path.
        jobs: how many jobs it had.
        verdicts: how many packages have each verdict on some ABI.
    """

    of: str
    run: str
    snapshot: str
    left: Mapping[str, Sequence[int]]
    jobs: int
    verdicts: Mapping[str, int]


def of(matrix: Matrix, sources: Sources, patches: Mapping[str, tuple[str, ...]], effort: str) -> str:
    """Hash everything a whole run goes by."""
    # `repr` names every field of these, at a fraction of what JSON takes.
    found = [repr(one) for one in (*sources.found.values(), *sources.faults.values())]
    settings = matrix.model_dump(mode="json", exclude={"root"})
    return digest(farm_digest(), settings, list(matrix.packages), found, patches, effort)


@cache
def farm_digest() -> str:
    """Hash the farm's own files, and what else it is made of."""
    total = hashlib.sha256(f"{version('cibuildwheel')} {host.ca_bundle()}".encode())
    folders = {Path(__file__).parent, catalog.images_dir()}
    for folder in sorted(folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(folder)}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()


def set_on(store: Store, of_run: str, run: str, evidence: Mapping[str, Evidence], judged: Iterable[Judged]) -> None:
    """Seal a run that is published and written, if it left nothing untold."""
    verdicts: dict[str, int] = {}
    for package in judged:
        for judgement in package.abis.values():
            verdicts[judgement.verdict.value] = verdicts.get(judgement.verdict.value, 0) + 1
    left = {name: _stamp(store.wheelhouse / name) for name in _LEFT}
    snapshot = store.current_snapshot()
    if snapshot is None or None in left.values() or not all(one.determined for one in evidence.values()):
        store.forget(_NAME)
        return
    seal = {"of": of_run, "run": run, "snapshot": snapshot, "left": left, "jobs": len(evidence), "verdicts": verdicts}
    files = sorted({sha256 for one in evidence.values() for sha256 in one.files.values()})
    store.remember(_NAME, json.dumps({"seal": seal, "files": "\n".join(files)}))


def unbroken(store: Store, of_run: str) -> Seal | None:
    """Return the seal of the last whole run, if it went by the very same and everything it left is still there."""
    text = store.remembered(_NAME)
    content: dict[str, Any] = json.loads(text) if text else {}
    if content.get("seal", {}).get("of") != of_run:
        return None
    seal = Seal(**content["seal"])
    if seal.snapshot != store.current_snapshot():
        return None  # the index was returned to an earlier state
    if any(_stamp(store.wheelhouse / name) != stamp for name, stamp in seal.left.items()):
        return None
    return seal if store.all_files().issuperset(content["files"].split()) else None


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
