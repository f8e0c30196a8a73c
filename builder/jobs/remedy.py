"""Remedy job: what a build missed of the system -> the packages of its base that have it.

builder/evidence/remedy.py has the model of its facts. The archive is the one the builder image's own apt sources name.
Its contents indexes are kept beside the store.
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
from builder.evidence.image import read_image_tag
from builder.evidence.remedy import Provision, RemedyFacts
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result
from builder.judge import apt_contents
from builder.sources import http
from builder.store.files import atomic_write
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.config.catalog import Base
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.judge.apt_contents import MissingDependency
    from builder.store.evidence import Evidence

_ARCHITECTURES = (
    "amd64",
    "all",
)  # packages without native code are listed under `all`, most of the time
_FRESH_S = (
    7 * 86_400.0
)  # a release's packages hardly ever get or lose a file, and the index is 30 MB or more
_LIMIT_BYTES = 512 << 20  # ten times the largest there is: it is no contents index then
_CHUNK_BYTES = 1 << 20
_MAX_PACKAGES = 3  # who reads the remedy needs the likeliest, and alternatives to it

_TARGETS_FILE = "/tmp/targets"  # noqa: S108 - inside a throw-away container
_LIST_TARGETS = (
    "apt-get indextargets --no-release-info "
    "--format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' "
    f"> {_TARGETS_FILE}"
)
_TARGET_FIELDS = 3  # as the format has them


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
        if not wants:
            return Result(facts=RemedyFacts(found=(), unknown=()))

        search = apt_contents.ContentsSearch(wants)
        targets = self._list_targets(read_image_tag(inputs["image"]), tools)
        _search_indexes(search, targets, self.base.suite, tools)

        hits = search.results()
        found = []
        for want, packages in hits.items():
            likeliest = tuple((hit.package, hit.path) for hit in packages[:_MAX_PACKAGES])
            found.append(Provision(kind=want.kind, name=want.name, packages=likeliest))

        unknown = tuple((want.kind, want.name) for want in wants if want not in hits)
        return Result(facts=RemedyFacts(found=tuple(found), unknown=unknown))

    def _list_targets(self, image: str, tools: Tools) -> list[tuple[str, str]]:
        """Return (archive, component) of the base's own suite, as apt in the image is configured."""
        task = Task(
            image=image,
            command=["sh", "-c", _LIST_TARGETS],
            collect=_TARGETS_FILE,
            user="root",
            limits=Limits(timeout_s=60),
        )
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)

        targets: dict[tuple[str, str], None] = {}
        for line in next(iter(ended.output.values()), b"").decode().splitlines():
            fields = line.split(" ")
            if len(fields) != _TARGET_FIELDS:
                continue

            archive, release, component = fields
            is_reachable = archive.startswith(("http://", "https://"))
            if is_reachable and release == self.base.suite:
                targets[archive, component] = None
        return list(targets)


def find_missing(build: Evidence) -> tuple[MissingDependency, ...]:
    """Return what a build missed, over all its ABIs.

    The key of every remedy job asks for it, also where nothing changed, so the facts are not checked for that.
    """
    missing: list[tuple[str, str]] = []
    for outcome in build.facts["abis"].values():
        missing += outcome.get("failure", {}).get("missing", ())

    return apt_contents.parse_missing(missing)


def _search_indexes(
    search: apt_contents.ContentsSearch,
    targets: list[tuple[str, str]],
    suite: str,
    tools: Tools,
) -> None:
    """Search the indexes of the machine's architecture and, where that is not enough, those of every architecture.

    Raises:
        InfrastructureError: there is no index to search.
    """
    if not targets:
        raise InfrastructureError(
            f"apt in the builder image names no archive of {suite} that is reached by HTTP"
        )

    has_index = False
    for architecture in _ARCHITECTURES:
        indexes: dict[Path, None] = {}  # components of one archive may share theirs
        for archive, component in targets:
            path = _fetch_index(archive, component, architecture, suite, tools)
            if path is not None:
                indexes[path] = None

        for path in indexes:
            has_index = True
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
                search.read(lines)
        if search.complete:
            return

    if not has_index:
        raise InfrastructureError(f"the archive has no contents index of {suite}")


def _fetch_index(
    archive: str, component: str, architecture: str, suite: str, tools: Tools
) -> Path | None:
    """Return a contents index, or None where there is none."""
    # Debian has one for each component, Ubuntu one for all.
    for folder in (f"{component}/", ""):
        url = f"{archive.rstrip('/')}/dists/{suite}/{folder}Contents-{architecture}.gz"
        path = _fetch(url, tools)
        if path is not None:
            return path

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
            with atomic_write(kept) as aside:
                _write_answer(answer, aside, tools)
    except (requests.RequestException, HTTPError, OSError) as error:
        # The answer's `raw` is urllib3's own, and so are its errors where the connection breaks off.
        raise InfrastructureError(
            f"the archive's contents index could not be had: {type(error).__name__}"
        ) from error
    return kept


def _write_answer(answer: requests.Response, path: Path, tools: Tools) -> None:
    """Write the content of an answer to a file, within a limit, and for as long as nobody asks to stop."""
    with path.open("wb") as file:
        # `raw`: the index stays compressed, whatever the server calls it.
        while chunk := answer.raw.read(_CHUNK_BYTES):
            file.write(chunk)
            if tools.stop.is_set():
                raise Interrupted
            if file.tell() > _LIMIT_BYTES:
                raise InfrastructureError(
                    f"the archive's contents index is larger than {_LIMIT_BYTES >> 20} MiB"
                )
