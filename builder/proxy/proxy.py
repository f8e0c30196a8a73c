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
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from builder.engine import containment
from builder.engine.programs import program_files
from builder.engine.services import NetworkAttachment, NoAddressesError
from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError
from builder.host import settings as host
from builder.proxy.cache import FetchedFile, IndexCache
from builder.proxy.crates import Crates, parse_crate, parse_page, registry_settings
from builder.untrusted.names import parse_file_name, parse_sha256
from builder.untrusted.text import clean_json, parse_answer
from builder.verdicts.wording import join_names

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

CACHE_FOLDER = "/opt/wheelfarm/index"
"""Where the index cache is installed in its image, as a virtual environment."""
_HOME = "/farm/proxy"
"""Where the proxy's container has its configuration, sessions and files."""
_SESSIONS = f"{_HOME}/sessions"
_RECORDS = "/result/records"
_FETCHED_FILES = "/result/files"

_PORT = 8314
_CACHE_PORT = 5000
_NAMES_PORT = 53

_PRELOAD_BYTES = 128 << 20
"""As much of what is known is handed to the proxy when it starts; what a job fetched last time it gets in any case."""
_LIMITS = Limits(memory_bytes=1 << 30, processes=1024)  # a thread for each connection of each build
_CLIENT_CERTIFICATE = f"{_HOME}/client.pem"
_FETCH_TIMEOUT_S = "600"  # for the largest files over a slow line; not measured
_MAX_NAMED_CRATES = 3  # of those that could not be had; one explains the others
_MAX_RECORD_BYTES = 17 << 20  # of a session; the proxy keeps to a little less
_MAX_EVENT_BYTES = 16 << 20
_MAX_EVENTS = 40_000
_EVENT_TEXTS = {
    "file": ("project",),
    "asked": ("host",),
    "silent": ("what",),
    "unlocked": ("project",),
    "crate": ("name", "version", "sha256"),
    "crate-page": ("name", "sha256"),
    "no-crate": ("what",),
}
"""The kinds of events, and the fields of each that are text."""
_CLIENT_PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionReport:
    """What a container did with the index, and what else it asked for.

    Attributes:
        fetched: files, in the order they were asked for.
        refused_hosts: hosts that it asked for and that no job reaches.
        unanswered: what the index did not answer for.
        missing_from_lock: projects it asked for that are not in its lock.
        crates: what it had of the registry of crates.
        unanswered_crates: what that registry did not answer for, or answered with something else, each with the reason.
    """

    fetched: tuple[FetchedFile, ...] = ()
    refused_hosts: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    missing_from_lock: tuple[str, ...] = ()
    crates: Crates = field(default_factory=Crates)
    unanswered_crates: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what the evidence says of it."""
        return {
            "fetched": [
                *(file.record() for file in self.fetched),
                *(crate.record() for crate in self.crates.files),
            ],
            "asked": list(self.refused_hosts),
        }

    def merge(self, other: SessionReport) -> SessionReport:
        """Return this report and another one as one; of files with the same name the other report's counts."""
        fetched = {file.filename: file for file in (*self.fetched, *other.fetched)}

        return SessionReport(
            fetched=tuple(fetched.values()),
            refused_hosts=_unique(self.refused_hosts, other.refused_hosts),
            unanswered=_unique(self.unanswered, other.unanswered),
            missing_from_lock=_unique(self.missing_from_lock, other.missing_from_lock),
            crates=self.crates.merge(other.crates),
            unanswered_crates=_unique(self.unanswered_crates, other.unanswered_crates),
        )

    def infrastructure_error(self) -> InfrastructureError | None:
        """Return the error that explains a failed job by the index rather than the package.

        None where the session got all that it asked for, so that the failure says something about the package.
        """
        if self.missing_from_lock:
            names = ", ".join(self.missing_from_lock)
            reason = f"--locked: nothing is recorded of {names}, which is needed now; run once without --locked"
            return InfrastructureError(reason, code="WF903")

        if self.unanswered:
            names = ", ".join(self.unanswered)
            return InfrastructureError(f"the package index did not give {names}", code="WF106")

        if self.unanswered_crates:
            crates = join_names(self.unanswered_crates, _MAX_NAMED_CRATES)
            reason = f"the registry of crates did not give {crates}"
            return InfrastructureError(reason, code="WF106")

        return None


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
        configuration = _proxy_configuration(host.index_settings())
        configuration["held"] = self.cache.entries()
        configuration["crates"] = registry_settings(self.cache.crate_pages())
        configuration["uploaded_before"] = _list_cutoffs(self._cool_down)
        path = f"{_HOME}/config.json"

        task = Task(
            image=image,
            command=[f"{CACHE_FOLDER}/bin/python", "-m", "inside.proxy", path],
            files={
                **program_files("proxy"),
                path: json.dumps(configuration).encode(),
                **_client_certificate(host.index_settings()),
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
            service.put({f"{_HOME}/files/{sha256}": path for sha256, path in new.items()})
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
            environment=client_environment(network.address, _PORT, token),
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

        events = _parse_record(self._service.get(f"{_RECORDS}/{self._token}.jsonl") or b"")

        fetched = []
        for event in events:
            if event["kind"] == "file":
                file = FetchedFile(project=event["project"], entry=event["entry"])
                fetched.append(file)
                self._bring(file)
        crates = self._bring_crates(events)

        return SessionReport(
            fetched=tuple(fetched),
            refused_hosts=_unique_values(events, "asked", "host"),
            unanswered=_unique_values(events, "silent", "what"),
            missing_from_lock=_unique_values(events, "unlocked", "project"),
            crates=crates,
            unanswered_crates=_unique_values(events, "no-crate", "what"),
        )

    def _bring_crates(self, events: Iterable[Mapping[str, Any]]) -> Crates:
        """Return what the session had of the registry of crates, copied into the wheelhouse's cache."""
        files = [parse_crate(event) for event in events if event["kind"] == "crate"]
        pages = [parse_page(event) for event in events if event["kind"] == "crate-page"]

        names = {page.sha256: page.name for page in pages}
        names |= {crate.sha256: crate.filename for crate in files}
        for sha256, name in names.items():
            if not self._cache.file(sha256).exists():
                copy = partial(self._service.copy, f"{_FETCHED_FILES}/{sha256}")
                self._cache.add_content(sha256, name, copy)

        self._cache.note_crate_pages(pages)
        return Crates().merge(Crates(files=tuple(files), pages=tuple(pages)))

    def _bring(self, file: FetchedFile) -> None:
        """Copy a file from the proxy into the wheelhouse's cache, unless it is there."""
        if not self._cache.file(file.sha256).exists():
            path = f"{_FETCHED_FILES}/{file.sha256}"
            self._cache.add(file, partial(self._service.copy, path))


def _parse_record(record: bytes) -> list[dict[str, Any]]:
    """Return the events of a session's record, with every text cleaned: builds and the index chose the names in it.

    Raises:
        InfrastructureError: the proxy wrote more than it may, or what is no event.
    """
    lines = record.splitlines()
    if len(record) > _MAX_RECORD_BYTES or len(lines) > _MAX_EVENTS:
        raise InfrastructureError("the index proxy's record of a session is longer than it may be")

    events = []
    try:
        for line in lines:
            event: Any = clean_json(parse_answer(line, _MAX_EVENT_BYTES))
            texts = [event[field] for field in _EVENT_TEXTS[event["kind"]]]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError  # noqa: TRY301 - one answer for all that is no event
            if event["kind"] == "file":
                parse_file_name(event["entry"]["filename"])
                parse_sha256(event["entry"]["hashes"]["sha256"])
            elif event["kind"] == "crate":
                parse_crate(event)
            elif event["kind"] == "crate-page":
                parse_page(event)
            events.append(event)
    except (ValueError, TypeError, KeyError):
        raise InfrastructureError(
            "the index proxy's record of a session has a line that is no event"
        ) from None
    return events


def _unique(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return values once each, in the order they come first."""
    return tuple(dict.fromkeys(chain(*groups)))


def _unique_values(events: Iterable[Mapping[str, Any]], kind: str, field: str) -> tuple[str, ...]:
    """Return what events of one kind have in a field, each value once, in the order they come first.

    `[{"kind": "asked", "host": "a.invalid"}, …]`, `asked`, `host` -> `("a.invalid",)`
    """
    return _unique(event[field] for event in events if event["kind"] == kind)


def client_environment(address: str, port: int, token: str) -> dict[str, str]:
    """Return the variables by which the programs in a container find the index and reach nothing else.

    pip and uv get the session's index. All other requests go to the proxy as well, where they are refused and recorded.

    Args:
        address: of the proxy.
        port: of the proxy.
        token: of the session.
    """
    base = f"http://{address}:{port}/{token}"
    environment = {
        "PIP_INDEX_URL": f"{base}/simple/",
        "PIP_TRUSTED_HOST": address,
        "PIP_DEFAULT_TIMEOUT": _FETCH_TIMEOUT_S,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_DEFAULT_INDEX": f"{base}/simple/",
        "UV_HTTP_TIMEOUT": _FETCH_TIMEOUT_S,
    }
    # The proxy refuses requests for anything else; the user name in its address tells it which session they are of.
    refusing_proxy = f"http://{token}:x@{address}:{port}"
    for name in _CLIENT_PROXY_VARIABLES:
        environment[name] = environment[name.upper()] = refusing_proxy

    environment["no_proxy"] = environment["NO_PROXY"] = f"{address},localhost,127.0.0.1,::1"
    return environment


def _proxy_configuration(index: host.IndexSettings) -> dict[str, Any]:
    """Return the configuration that builder/inside/proxy/server.py reads.

    The index's credentials are in it. They stay in the proxy's container, which no code under test sees.
    """
    certificates = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), host.CA_IN_CONTAINER)
    proxies = host.proxy_variables()
    # The cache is asked on this address, never by the host's proxy.
    direct_hosts = ",".join(filter(None, ("127.0.0.1", proxies.get("no_proxy"))))

    return {
        "port": _PORT,
        "names_port": _NAMES_PORT,
        "environment": {
            **certificates,
            **proxies,
            "no_proxy": direct_hosts,
            "NO_PROXY": direct_hosts,
        },
        "cache": {
            "url": f"http://127.0.0.1:{_CACHE_PORT}/index/",
            "command": _cache_command(),
            "environment": _cache_environment(index),
        },
    }


def _list_cutoffs(cool_down: CoolDown | None) -> dict[str, str | None]:
    """Return before when files have to have been uploaded, as builder/inside/proxy/upstream.py takes it."""
    if cool_down is None:
        return {}

    cutoffs: dict[str, str | None] = {}
    for name in ("", *cool_down.by_name):
        cutoff = cool_down.cutoff(name)
        cutoffs[name] = None if cutoff is None else cutoff.isoformat()
    return cutoffs


def _cache_command() -> list[str]:
    """Return the command that serves the index cache, the application in builder/inside/proxy/cache.py, by gunicorn."""
    options = {
        "--bind": f"127.0.0.1:{_CACHE_PORT}",
        "--threads": "8",
        "--timeout": "0",  # a large file may take its time
        "--worker-tmp-dir": "/dev/shm",  # noqa: S108 - inside the proxy's container
        "--log-level": "warning",
        "--chdir": "/",
    }
    return [f"{CACHE_FOLDER}/bin/gunicorn", *chain(*options.items()), "inside.proxy.cache:app"]


def _client_certificate(index: host.IndexSettings) -> dict[str, bytes | Path]:
    """Return the certificate by which this machine is known to its index, as a file for the proxy's container alone."""
    if not index.client_certificate:
        return {}
    return {_CLIENT_CERTIFICATE: Path(index.client_certificate)}


def _cache_environment(index: host.IndexSettings) -> dict[str, str]:
    """Return the settings of proxpi, the index cache, as variables.

    If the host of one index is among pip's `trusted-host` settings, certificates are verified for none of the indexes:
    proxpi has one switch for all of them.
    """
    index_hosts = {urlsplit(url).hostname for url in index.urls}
    trusted_hosts = {name.partition(":")[0] for name in index.trusted_hosts}  # without the port
    skips_verification = bool(index_hosts & trusted_hosts)

    return {
        "PROXPI_INDEX_URL": index.url,
        "PROXPI_EXTRA_INDEX_URLS": ",".join(index.extra_urls),
        "WHEELFARM_TRUSTED_HOSTS": ",".join(index.trusted_hosts),
        "WHEELFARM_CLIENT_CERTIFICATE": _CLIENT_CERTIFICATE if index.client_certificate else "",
        "WHEELFARM_UNKNOWN_STATUSES": ",".join(map(str, sorted(host.unknown_statuses()))),
        "PROXPI_DISABLE_INDEX_SSL_VERIFICATION": "1" if skips_verification else "",
        "PROXPI_CACHE_DIR": "/tmp/cache",  # noqa: S108 - inside the proxy's container
        "PROXPI_DOWNLOAD_TIMEOUT": _FETCH_TIMEOUT_S,
        "PROXPI_CONNECT_TIMEOUT": "10",
        "PROXPI_READ_TIMEOUT": "120",
        "PROXPI_LOGGING_LEVEL": "WARNING",
    }


def _describe_locked(lock: Entries, crates: Crates) -> dict[str, Any]:
    """Return what a locked session may have: the files of its lock, and crates with what the index said of them."""
    return {
        "locked": lock,
        "locked_pages": {page.name: page.sha256 for page in crates.pages},
        "locked_crates": [crate.sha256 for crate in crates.files],
    }


def _list_hashes(files: Entries) -> list[str]:
    """Return the sha256 of all files of a lock."""
    hashes = []
    for entries in files.values():
        hashes += [entry["hashes"]["sha256"] for entry in entries]

    return hashes
