"""Remedy job: finds the system packages that provide what a failed build missed, such as a header or a library.

It searches the contents indexes of the distribution's archive, i.e. the lists of all files of all packages. The archive
is the one that the apt sources of the builder image name; the indexes are kept beside the store.
builder/evidence/remedy.py has the model of its facts.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError, Interrupted
from builder.evidence.image import read_image_tag
from builder.evidence.remedy import Provision, RemedyFacts
from builder.jobs.images.ids import role_image_id
from builder.jobs.job import Result
from builder.judge import apt_contents
from builder.sources import http
from builder.sources.errors import ANSWER_ERRORS
from builder.store.files import atomic_write
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.untrusted.reading import TooSlowError

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
)
"""Packages without native code are listed under `all`, most of the time."""
_FRESH_S = 7 * 86_400.0
"""The packages of a release hardly ever get or lose a file, and the index is 30 MB or more."""
_LIMIT_BYTES = 512 << 20
"""Ten times the largest contents index there is: a larger file is something else."""
_CHUNK_BYTES = 1 << 20
_MAX_PACKAGES = 3  # the reader needs the likeliest package and a few alternatives

_TARGETS_FILE = "/tmp/targets"  # noqa: S108 - inside a throw-away container
_LIST_TARGETS = (
    "apt-get indextargets --no-release-info "
    "--format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' "
    f"> {_TARGETS_FILE}"
)
_TARGET_FIELDS = 3  # as many as the format above prints on a line


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Look up which system packages provide what the build of one package on one base missed."""

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
        missing = find_missing(inputs["build"])
        return {str(self.needs["build"]): sorted((item.kind, item.name) for item in missing)}

    def key(self, inputs: Inputs) -> str:
        (missing,) = self.key_inputs(inputs).values()
        # Where nothing is missing nothing is searched, and the archive does not matter.
        return digest("remedy", 2, missing, self.settings() if missing else {})

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Return for each missing thing the few likeliest packages that provide it, and the things that none provides.

        Both are empty, and nothing is searched, where the build missed nothing.
        """
        missing = find_missing(inputs["build"])
        if not missing:
            return Result(facts=RemedyFacts(found=(), unknown=()))

        search = apt_contents.ContentsSearch(missing)
        targets = self._list_targets(read_image_tag(inputs["image"]), tools)
        _search_indexes(search, targets, self.base.suite, tools)

        hits_by_item = search.results()
        provisions = []
        for item, hits in hits_by_item.items():
            likeliest = tuple((hit.package, hit.path) for hit in hits[:_MAX_PACKAGES])
            provisions.append(Provision(kind=item.kind, name=item.name, packages=likeliest))

        unknown = tuple((item.kind, item.name) for item in missing if item not in hits_by_item)
        return Result(facts=RemedyFacts(found=tuple(provisions), unknown=unknown))

    def _list_targets(self, image: str, tools: Tools) -> list[tuple[str, str]]:
        """Return (archive, component) for each component that apt in an image takes from the base's own suite.

        `main` and `universe` are components. Other suites, such as security updates, are skipped, and so are archives
        that are not reached by HTTP.
        """
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
            # It is not a line of the format that apt was asked for.
            if len(fields) != _TARGET_FIELDS:
                continue

            archive, release, component = fields
            is_reachable = archive.startswith(("http://", "https://"))
            if is_reachable and release == self.base.suite:
                targets[archive, component] = None
        return list(targets)


def find_missing(build: Evidence) -> tuple[MissingDependency, ...]:
    """Return what a build missed of the system, for any of its ABIs; empty where it missed nothing.

    The facts are read as plain data, not as a checked model: the key of every remedy job is made with this function,
    also when nothing has changed, and checking takes too long for that.
    """
    missing: list[tuple[str, str]] = []
    for outcome in build.facts["abis"].values():
        failure = outcome.get("failure") or outcome.get("stands_for") or {}
        missing += failure.get("missing", ())

    return apt_contents.parse_missing(missing)


def _search_indexes(
    search: apt_contents.ContentsSearch,
    targets: list[tuple[str, str]],
    suite: str,
    tools: Tools,
) -> None:
    """Search the contents indexes of an archive; the results are in `search`.

    The index of packages for all architectures is fetched only if the one of this machine's architecture does not
    answer everything.

    Args:
        search: what to look for.
        targets: (archive, component) of each component to search.
        suite: the release's name in the archive.
        tools: of the job.

    Raises:
        InfrastructureError: there is no index to search.
    """
    if not targets:
        raise InfrastructureError(
            f"apt in the builder image names no archive of {suite} that is reached by HTTP"
        )

    has_index = False
    for architecture in _ARCHITECTURES:
        indexes: dict[Path, None] = {}  # a set that keeps the order: components may share one index
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
    """Return the file with the contents index of one component and architecture; None where the archive has none."""
    # Debian has an index for each component, Ubuntu one for all components.
    for folder in (f"{component}/", ""):
        url = f"{archive.rstrip('/')}/dists/{suite}/{folder}Contents-{architecture}.gz"
        path = _fetch(url, tools)
        if path is not None:
            return path

    return None


def _fetch(url: str, tools: Tools) -> Path | None:
    """Return a local copy of a file of the archive; None where the archive does not have the file.

    A copy that is younger than a week is used as it is. Otherwise the file is fetched now.

    Raises:
        InfrastructureError: the archive does not answer.
        Interrupted: the farm was asked to stop.
    """
    copy = tools.store.folder / "contents" / f"{digest(url)[:24]}.gz"
    if copy.exists() and time.time() - copy.stat().st_mtime < _FRESH_S:
        return copy

    tools.say("fetching the archive's contents index")
    try:
        with (
            http.open_session() as session,
            http.ask(
                session, url, "the archive's contents index", deadline_s=http.DOWNLOAD_S
            ) as answer,
        ):
            if answer.status_code == requests.codes.not_found:
                return None
            answer.raise_for_status()
            with atomic_write(copy) as unfinished:
                _write_answer(answer, unfinished, tools)
    except (requests.RequestException, HTTPError, OSError, *ANSWER_ERRORS, TooSlowError) as error:
        # `_write_answer` reads urllib3's own stream, which raises urllib3's errors where the connection breaks off.
        raise InfrastructureError(
            f"the archive's contents index could not be had: {type(error).__name__}"
        ) from error
    return copy


def _write_answer(answer: requests.Response, path: Path, tools: Tools) -> None:
    """Write the content of an HTTP answer to a file.

    Raises:
        InfrastructureError: it is too large for a contents index.
        Interrupted: the farm was asked to stop.
    """
    with path.open("wb") as file:
        # `raw`: the index stays compressed, whatever encoding the server says it has.
        while chunk := answer.raw.read(_CHUNK_BYTES):
            file.write(chunk)
            if tools.stop.is_set():
                raise Interrupted
            if file.tell() > _LIMIT_BYTES:
                raise InfrastructureError(
                    f"the archive's contents index is larger than {_LIMIT_BYTES >> 20} MiB"
                )
