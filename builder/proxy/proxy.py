"""The farm's side of its index proxy: started when the first job needs the index, asked by one session per container.

Builds, and whatever else installs from the index, sit each on a private network where the proxy is all there is. The
programs of the proxy are in builder/inside/proxy/; what it fetched is brought into the wheelhouse before a job's
evidence is recorded, so whatever evidence names can be had again.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from builder.engine import containment
from builder.engine.programs import program_files
from builder.engine.services import NetworkAttachment, NoAddressesError
from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError
from builder.host import settings as host
from builder.proxy.cache import FetchedFile, IndexCache
from builder.proxy.configuration import (
    CACHE_FOLDER,
    HOME,
    PORT,
    client_environment,
    describe_proxy,
    list_certificates,
    list_cutoffs,
)
from builder.proxy.crates import Crates, parse_crate, parse_page, registry_settings
from builder.proxy.report import SessionReport, parse_record, unique_values
from builder.proxy.toolchains import (
    Toolchains,
    parse_toolchain,
    parse_toolchain_file,
    toolchain_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from builder.config.cool_down import CoolDown
    from builder.engine.client import Engine
    from builder.engine.services import PrivateNetwork, Service
    from builder.proxy.cache import Entries
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_SESSIONS = f"{HOME}/sessions"
_RECORDS = "/result/records"
_FETCHED_FILES = "/result/files"

_PRELOAD_BYTES = 128 << 20
"""As much of what is known is handed to the proxy when it starts; what a job fetched last time it gets in any case."""
_LIMITS = Limits(memory_bytes=1 << 30, processes=1024)  # a thread for each connection of each build


class IndexProxy:
    """The proxy of one run. Safe to use from several threads."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        locked: bool = False,
        cool_down: CoolDown | None = None,
    ) -> None:
        """Prepare; nothing is started before the first session.

        Args:
            engine: runs it; its containers are removed with the run's.
            store: of the wheelhouse.
            locked: whether jobs get only the files that are recorded of them.
            cool_down: which files of the index are too young to be given to a job; None for none.
        """
        self._cool_down = cool_down
        self.locked = locked
        self.cache = IndexCache(store.folder / "index")
        self._engine = engine
        self._service: Service | None = None
        self._sent: set[str] = set()
        self._mutex = threading.Lock()

    def session(self, image: str, job: JobId, stop: threading.Event) -> Session:
        """Open a session for one container, and start the proxy where it does not run yet.

        The files of the job's lock are handed to the proxy beforehand, so that it need not fetch them again.

        Args:
            image: the proxy's image.
            job: the job that the container works for. With `--locked` it gets the files of its lock and no others.
            stop: set when the farm is asked to stop.

        Raises:
            InfrastructureError: the proxy could not be started, or nothing is recorded of a job that is to be locked.
            Interrupted: the farm was asked to stop.
        """
        lock = self.cache.read_lock(job)
        if self.locked and lock is None:
            raise InfrastructureError(
                f"--locked: nothing is recorded of {job}; run once without --locked", code="WF903"
            )

        crates = self.cache.read_crate_lock(job)
        files = self._files([*_list_hashes(lock or {}), *crates.hashes()])
        description = _describe_locked(lock or {}, crates) if self.locked else {"locked": None}

        with self._mutex:
            try:
                return self._open_session(image, stop, files, description)
            except NoAddressesError:
                raise  # another proxy would not get an address either
            except InfrastructureError:
                # The proxy may have been killed: without a service, another one is started.
                self._service = None
                return self._open_session(image, stop, files, description)

    def _open_session(
        self,
        image: str,
        stop: threading.Event,
        files: Mapping[str, Path],
        allowed: Mapping[str, Any],
    ) -> Session:
        """Make a session's network and describe the session to the proxy, which is started where none runs.

        `_mutex` is held.

        Args:
            image: the proxy's image.
            stop: set when the farm is asked to stop.
            files: files that the session is likely to ask for, by sha256.
            allowed: what the session may have, as builder/inside/proxy/sessions.py reads it.
        """
        if self._service is None:
            self._sent = set()
            self._service = self._start(image, stop)

        service = self._service
        self._send_files(service, files)

        token = uuid.uuid4().hex
        network = service.open_network()
        # What builder/inside/proxy/sessions.py reads of the session.
        description = {**allowed, "network": network.subnet}
        try:
            service.put({f"{_SESSIONS}/{token}.json": json.dumps(description).encode()})
        except InfrastructureError:
            network.remove()
            raise

        return Session(service, network, token, self.cache)

    def record_lock(self, job: JobId, report: SessionReport, *, better: bool) -> None:
        """Record the files that a job fetched as its lock: `run --locked` gives it these and no others.

        Nothing is recorded of a job that is locked itself, and a worse attempt replaces no earlier lock.

        Args:
            job: the job.
            report: what the job did with the index.
            better: whether the job came far enough to replace an earlier lock.
        """
        if self.locked:
            return
        if better or self.cache.read_lock(job) is None:
            self.cache.write_lock(job, report.fetched, report.crates)

    def _start(self, image: str, stop: threading.Event) -> Service:
        """Start the proxy's container, and hand it the files that were added to the cache last."""
        configuration = describe_proxy(host.index_settings())
        configuration["held"] = self.cache.entries()
        configuration["crates"] = registry_settings(self.cache.crate_pages())
        configuration["toolchains"] = toolchain_settings(self.cache.toolchain_manifests())
        configuration["uploaded_before"] = list_cutoffs(self._cool_down)
        path = f"{HOME}/config.json"

        task = Task(
            image=image,
            command=[f"{CACHE_FOLDER}/bin/python", "-m", "inside.proxy", path],
            files={
                **program_files("proxy"),
                path: json.dumps(configuration).encode(),
                **list_certificates(host.index_settings()),
            },
            limits=_LIMITS,
            kind=containment.SERVICE,
        )
        service = self._engine.serve(task, "/result/ready", stop)

        newest = self.cache.newest_files(_PRELOAD_BYTES)
        self._send_files(service, self._files(newest))
        return service

    def _files(self, hashes: Iterable[str]) -> dict[str, Path]:
        return {sha256: self.cache.file(sha256) for sha256 in hashes}

    def _send_files(self, service: Service, files: Mapping[str, Path]) -> None:
        """Put files into the proxy's container that are not there yet.

        A file that is no longer in the wheelhouse is skipped: the proxy fetches it from the index.
        """
        new = {}
        for sha256, path in files.items():
            if sha256 not in self._sent and path.exists():
                new[sha256] = path

        if new:
            service.put({f"{HOME}/files/{sha256}": path for sha256, path in new.items()})
            self._sent.update(new)


class Session:
    """One container's way to the index, on a network of its own. It ends with the block that it is opened for.

    Attributes:
        network: its connection to the private network.
    """

    def __init__(
        self, service: Service, network: PrivateNetwork, token: str, cache: IndexCache
    ) -> None:
        """Prepare a session that the proxy knows already.

        Args:
            service: the proxy.
            network: the private network.
            token: the session's name, which is part of its index's address.
            cache: takes the files that the session fetches.
        """
        self._service = service
        self._private_network = network
        self._token = token
        self._cache = cache
        self._has_ended = False
        self.network = NetworkAttachment(
            network=network.name,
            dns_server=network.address,
            environment=client_environment(network.address, PORT, token),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(InfrastructureError):  # a proxy that is gone answers nobody
            self.end()

    def end(self) -> None:
        """End the session: its token and its addresses are worth nothing from now on, and its network is removed.

        A second call does nothing.

        Raises:
            InfrastructureError: the proxy is gone.
        """
        if self._has_ended:
            return

        self._has_ended = True
        try:
            self._service.put({f"{_SESSIONS}/{self._token}.ended": b""})
        finally:
            self._private_network.remove()

    def collect_report(self) -> SessionReport:
        """End the session, return what its container did, and bring the files it fetched into the wheelhouse's cache.

        The report is empty where the container asked for nothing.

        Raises:
            InfrastructureError: the proxy is gone.
        """
        self.end()

        events = parse_record(self._service.get(f"{_RECORDS}/{self._token}.jsonl") or b"")

        fetched = []
        for event in events:
            if event["kind"] == "file":
                file = FetchedFile(project=event["project"], entry=event["entry"])
                fetched.append(file)
                self._bring(file)
        crates = self._bring_crates(events)

        return SessionReport(
            fetched=tuple(fetched),
            refused_hosts=unique_values(events, "asked", "host"),
            unanswered=unique_values(events, "silent", "what"),
            missing_from_lock=unique_values(events, "unlocked", "project"),
            crates=crates,
            unanswered_crates=unique_values(events, "no-crate", "what"),
            unanswered_toolchains=unique_values(events, "no-toolchain", "what"),
            lacking_toolchains=unique_values(events, "lacks-toolchain", "what"),
        )

    def _bring_crates(self, events: Iterable[Mapping[str, Any]]) -> Crates:
        """Return what the session had of crates and Rust toolchains, copied into the wheelhouse's cache."""
        files = [parse_crate(event) for event in events if event["kind"] == "crate"]
        pages = [parse_page(event) for event in events if event["kind"] == "crate-page"]
        manifests = [parse_toolchain(event) for event in events if event["kind"] == "toolchain"]
        archives = [
            parse_toolchain_file(event) for event in events if event["kind"] == "toolchain-file"
        ]

        names = {page.sha256: page.name for page in pages}
        names |= {crate.sha256: crate.filename for crate in files}
        names |= {manifest.sha256: f"Rust {manifest.version}" for manifest in manifests}
        names |= {archive.sha256: archive.filename for archive in archives}
        for sha256, name in names.items():
            if not self._cache.file(sha256).exists():
                copy = partial(self._service.copy, f"{_FETCHED_FILES}/{sha256}")
                self._cache.add_content(sha256, name, copy)

        self._cache.note_crate_pages(pages)
        self._cache.note_toolchain_manifests(manifests)
        toolchains = Toolchains(files=tuple(archives), manifests=tuple(manifests))
        return Crates().merge(Crates(files=tuple(files), pages=tuple(pages), toolchains=toolchains))

    def _bring(self, file: FetchedFile) -> None:
        """Copy a file from the proxy into the wheelhouse's cache, unless it is there."""
        if not self._cache.file(file.sha256).exists():
            path = f"{_FETCHED_FILES}/{file.sha256}"
            self._cache.add(file, partial(self._service.copy, path))


def _describe_locked(lock: Entries, crates: Crates) -> dict[str, Any]:
    """Return what a locked session may have: the files of its lock, and crates with what the index said of them."""
    return {
        "locked": lock,
        "locked_pages": {page.name: page.sha256 for page in crates.pages},
        "locked_crates": [crate.sha256 for crate in crates.files],
        "locked_manifests": {
            manifest.version: manifest.sha256 for manifest in crates.toolchains.manifests
        },
    }


def _list_hashes(files: Entries) -> list[str]:
    """Return the sha256 of all files of a lock."""
    hashes = []
    for entries in files.values():
        hashes += [entry["hashes"]["sha256"] for entry in entries]

    return hashes
