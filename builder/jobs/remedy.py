"""Remedy job: what a build missed of the system -> the packages of its base that have it.

Facts: `found`, a list of `{"kind", "name", "packages": [[package, path], …]}`, the likeliest package first; `unknown`,
what no package has, as [kind, name]. Both are empty where the build missed nothing.

The archive is the one the builder image's own apt sources name. Its contents indexes are kept beside the store.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

from builder.engine.client import Limits, Task
from builder.errors import InfrastructureError, Interrupted
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result
from builder.judge import apt_contents
from builder.sources import http
from builder.store.files import atomic_write
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.config.catalog import Base
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.judge.apt_contents import MissingDependency
    from builder.store.evidence import Evidence

_ARCHITECTURES = ("amd64", "all")
_FRESH_S = 7 * 86_400.0
_LIMIT_BYTES = 512 << 20
_CHUNK_BYTES = 1 << 20
_MAX_SHOWN = 3
_LIST_TARGETS_COMMAND = (
    "apt-get indextargets --no-release-info "
    "--format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages'"
)
_TARGETS_FILE = "/tmp/targets"  # noqa: S108 - inside a throw-away container


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Look up what one package's build on one base missed."""

    name: str
    base: Base

    @cached_property
    def id(self) -> JobId:
        return JobId(JobKind.REMEDY, self.name, self.base.name)

    @cached_property
    def needs(self) -> Needs:
        return {
            "build": JobId(JobKind.BUILD, self.name, self.base.name),
            "image": role_image_id("builder", self.base.name),
        }

    def settings(self) -> Mapping[str, object]:
        return {"archive": (self.base.distribution, self.base.suite)}

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        wants = find_missing(inputs["build"])
        return {str(self.needs["build"]): sorted((want.kind, want.name) for want in wants)}

    def key(self, inputs: Inputs) -> str:
        (wants,) = self.key_inputs(inputs).values()
        return digest("remedy", 2, wants, self.settings() if wants else {})

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        wants = find_missing(inputs["build"])
        search = apt_contents.ContentsSearch(wants)
        if wants:
            _search_indexes(
                search,
                list(self._targets(inputs["image"].facts["tag"], tools)),
                self.base.suite,
                tools,
            )
        found = search.results()
        answers = [
            {
                "kind": want.kind,
                "name": want.name,
                "packages": [[hit.package, hit.path] for hit in hits[:_MAX_SHOWN]],
            }
            for want, hits in found.items()
        ]
        return Result(
            facts={
                "found": answers,
                "unknown": [[want.kind, want.name] for want in wants if want not in found],
            }
        )

    def _targets(self, tag: str, tools: Tools) -> Iterator[tuple[str, str]]:
        """Give (archive, component) of the base's own suite, as apt in the image is configured."""
        command = ["sh", "-c", f"{_LIST_TARGETS_COMMAND} > {_TARGETS_FILE}"]
        task = Task(
            image=tag,
            command=command,
            collect=_TARGETS_FILE,
            user="root",
            limits=Limits(timeout_s=60),
        )
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
        lines = next(iter(ended.output.values()), b"").decode().splitlines()
        for archive, release, component in dict.fromkeys(
            tuple(line.split())
            for line in lines
            if line.count(" ") == 2  # noqa: PLR2004 - three words
        ):
            if release == self.base.suite and archive.startswith(("http://", "https://")):
                yield archive, component


def find_missing(build: Evidence) -> tuple[MissingDependency, ...]:
    """Return what a build missed, over all its ABIs."""
    failures = (
        made["failure"] for made in build.facts.get("abis", {}).values() if "failure" in made
    )
    return apt_contents.parse_missing(
        item for failure in failures for item in failure.get("missing", ())
    )


def _search_indexes(
    search: apt_contents.ContentsSearch, targets: list[tuple[str, str]], suite: str, tools: Tools
) -> None:
    """Search the indexes of the machine's architecture and, where that is not enough, those of every architecture."""
    if not targets:
        raise InfrastructureError(
            f"apt in the builder image names no archive of {suite} that is reached by HTTP"
        )
    known = False
    for architecture in _ARCHITECTURES:
        for place in dict.fromkeys(
            _find_index(archive, component, architecture, suite, tools)
            for archive, component in targets
        ):
            if place is not None:
                known = True
                with gzip.open(place, "rt", encoding="utf-8", errors="replace") as lines:
                    search.read(lines)
        if search.complete:
            return
    if not known:
        raise InfrastructureError(f"the archive has no contents index of {suite}")


def _find_index(
    archive: str, component: str, architecture: str, suite: str, tools: Tools
) -> Path | None:
    """Return a contents index, or None where there is none. Debian has one per component, Ubuntu one for all."""
    for folder in (f"{component}/", ""):
        place = _fetch(
            f"{archive.rstrip('/')}/dists/{suite}/{folder}Contents-{architecture}.gz", tools
        )
        if place is not None:
            return place
    return None


def _fetch(url: str, tools: Tools) -> Path | None:
    """Return a file of the archive, kept from last week or fetched now; None where there is none.

    Raises:
        InfrastructureError: the archive does not answer.
        Interrupted: the farm was asked to stop.
    """
    kept = tools.store.folder / "contents" / f"{digest(url)[:24]}.gz"
    if kept.exists() and time.time() - kept.stat().st_mtime < _FRESH_S:
        return kept
    tools.say("fetching the archive's contents index")
    try:
        with (
            http.open_session() as session,
            session.get(url, stream=True, timeout=http.TIMEOUT_S) as answer,
        ):
            if answer.status_code == requests.codes.not_found:
                return None
            answer.raise_for_status()
            with atomic_write(kept) as aside, aside.open("wb") as file:
                # `raw`: the index stays compressed, whatever the server calls it.
                while chunk := answer.raw.read(_CHUNK_BYTES):
                    file.write(chunk)
                    if tools.stop.is_set():
                        raise Interrupted
                    if file.tell() > _LIMIT_BYTES:
                        raise InfrastructureError(
                            f"the archive's contents index is larger than {_LIMIT_BYTES >> 20} MiB"
                        )
    except (requests.RequestException, HTTPError, OSError) as error:
        # `raw` is urllib3's own, and so are its errors where the connection breaks off.
        raise InfrastructureError(
            f"the archive's contents index could not be had: {type(error).__name__}"
        ) from error
    return kept
