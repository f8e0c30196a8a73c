"""Releases in a canary channel, for the tests of what promotes them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder import index
from builder.config import catalog, matrix
from builder.config.matrix import Matrix
from builder.index import Entry, Manifest, ServedFile, channels
from builder.index.channels import RolledOut
from builder.index.requirements import Requirements
from builder.index.rollout import Policy
from builder.store.store import Store

SINCE = "2026-01-01T00:00:00+00:00"
ABIS = [catalog.load().abis[name] for name in ("cp314", "cp314t")]


def name(project: str, version: str = "1.0", abi: str = "cp314t") -> str:
    return f"{project}-{version}-cp314-{abi}-manylinux_2_17_x86_64.whl"


def entry(
    project: str,
    version: str = "1.0",
    *,
    verdicts: str = "cp314t compatible",
    sha256: str = "",
    since: str = SINCE,
) -> Entry:
    """Return a wheel; without a hash it has one that follows from its name."""
    filename = name(project, version)
    return Entry(
        filename=filename, sha256=sha256 or filename, verdicts=verdicts, since=since, size_bytes=1
    )


def manifest(*entries: Entry) -> Manifest:
    return index.make_manifest(entries)


def requirements(**by_release: list[str]) -> Requirements:
    """Return what wheels require, by project and version as `foo_1_0`."""
    texts: dict[str, str] = {}
    for release, stated in by_release.items():
        project, _, version = release.partition("_")
        texts[name(project, version.replace("_", "."))] = json.dumps(stated)
    return Requirements(texts, ABIS)


def policy(*projects: str, quarantine: Manifest | None = None, **refused: str) -> Policy:
    """Return what a run says; `foo="racy"` refuses foo 1.0 on cp314t."""
    return Policy(
        quarantine=quarantine or {},
        refused={(project, "1.0", "cp314t"): verdict for project, verdict in refused.items()},
        projects=frozenset(projects),
        abis=["cp314", "cp314t"],
    )


def rollout(*projects: str, **settings: Any) -> Matrix:
    """Return a matrix with a rollout."""
    data = {"rollout": settings, "packages": {project: {} for project in projects or ("foo",)}}
    return matrix.parse(data, Path("matrix.toml"))


def add_release(
    store: Store,
    project: str,
    version: str = "1.0",
    *requires: str,
    verdicts: str = "cp314t compatible",
    note: str = "",
) -> ServedFile:
    """Put a wheel that requires something into a store."""
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}"]
    lines += [f"Requires-Dist: {text}" for text in requires]
    path = store.folder / "incoming.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{project}-{version}.dist-info/METADATA")  # the same at any time
        archive.writestr(info, "\n".join(lines) + f"\n\n{note}")
    return ServedFile(
        filename=name(project, version), sha256=store.add_file(path), verdicts=verdicts
    )


def run(
    store: Store,
    loaded: Matrix,
    *files: ServedFile,
    refused: tuple[ServedFile, ...] = (),
    projects: tuple[str, ...] = (),
) -> RolledOut:
    """Publish as a run does that admits some files and refuses others."""
    quarantined = [replace(file, yanked=file.yanked or "racy on cp314t: x") for file in refused]
    standing = Policy(
        quarantine=index.describe(quarantined, store),
        refused={},
        projects=frozenset(projects or loaded.packages),
        abis=["cp314", "cp314t"],
    )
    admitted = index.describe(files, store)
    return channels.publish_rollout(admitted, files, standing, loaded, store, "runner")


def listed(store: Store, channel: str) -> set[str]:
    """Return the files that the pages of a channel name, each of which is there with its content."""
    found: set[str] = set()
    for page in (store.wheelhouse / channel).glob("*/index.json"):
        for file in json.loads(page.read_text())["files"]:
            content = (page.parent / file["url"]).read_bytes()
            assert content == store.file(file["hashes"]["sha256"]).read_bytes()
            found.add(file["filename"])
    return found
