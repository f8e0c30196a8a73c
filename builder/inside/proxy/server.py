"""The farm's index proxy: a thin layer over an index cache that runs beside it in the same container.

Usage: python -m inside.proxy CONFIG.json

What it is given lies beside the configuration: `files/`, `sessions/`.

Clients are code of packages. Each address has a number of connections, each request a limit on its head and on the time
that it takes altogether, and each session a number of requests and bytes (sessions.py); what exceeds them is cut off.

The layer adds what the cache does not have: a record of what each build fetched, pages that hold only what is locked,
and files the farm knows already when the index is silent. Every build has a session, named by a token that is part of
its index's address:

    /TOKEN/simple/PROJECT/      what the index has, or in a locked session only what is recorded

Builds are also told that this is their HTTP proxy and their name server: whatever they ask for beside the index is
refused, and written down. Pages are JSON (PEP 691), which every client that is asked to use them takes.

By that HTTP proxy cargo reaches a registry of crates (crates.py) at a host that exists nowhere else. Its address is the
same for every build, because cargo names folders by it, and compilers write these into what they make.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from . import names
from .addresses import AddressRule
from .answers import MissingError, SilentError
from .crates import CrateRegistry, MismatchError, Page, index_path, parse_name
from .sessions import Session, Sessions
from .upstream import Entry, Upstream

_JSON = "application/vnd.pypi.simple.v1+json"
_CHANNEL = "simple"
_METADATA = ".metadata"
_REFUSED = "wheelfarm: a build reaches the package index alone; {} was refused\n"
_SILENT = b"wheelfarm: the package index does not answer\n"
_NO_CRATE = b"wheelfarm: the registry of crates does not answer\n"
_EXHAUSTED = b"wheelfarm: this build has asked the package index for too much\n"
_CHUNK_BYTES = 1 << 20
_CRATES_HOST = "crates.wheelfarm.invalid"
"""Where cargo finds the registry of crates; builder/proxy/crates.py tells it so. No host has such a name (RFC 2606)."""
_DOWNLOADS = "dl"
_DOWNLOAD_PARTS = 4  # of a path: dl/NAME/VERSION/download, as cargo makes it

_MAX_CONNECTIONS = 64  # of one client: uv opens up to 50
_MAX_ALL_CONNECTIONS = 768  # each has a thread, and the container's limit is 1024
_MAX_HEAD_BYTES = 64 << 10  # request line and headers; those of pip and uv have less than 2 KiB
_HEAD_TIMEOUT_S = 120.0  # from the end of the answer before; uv keeps an idle connection for 90 s
_ANSWER_TIMEOUT_S = 1800.0  # for the largest files over a slow line; not measured
_ADDRESS = "0.0.0.0"
"""The container's address on the private network is not known yet when this starts."""


class _TooLongError(OSError):
    """The head of a request is longer than any that clients send."""


class _Head:
    """What a connection sends, of which one request may take so many bytes and no more: no body is ever read."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - as the library has it
        self._stream = stream
        self._left = _MAX_HEAD_BYTES

    def begin_request(self) -> None:
        """Let the next request have all the bytes that one may have."""
        self._left = _MAX_HEAD_BYTES

    def readline(self, size: int = -1) -> bytes:
        """Return the next line, with its end.

        Raises:
            _TooLongError: the request has used up its bytes.
        """
        most = self._left + 1
        if size >= 0:
            most = min(size, most)

        line: bytes = self._stream.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise _TooLongError
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    protocol_version = "HTTP/1.1"
    server: Server
    sessions: Sessions
    upstream: Upstream
    crates: CrateRegistry

    def setup(self) -> None:
        """Prepare for the requests of one connection."""
        super().setup()
        self._head = _Head(self.rfile)
        self.rfile = cast("Any", self._head)

    def handle_one_request(self) -> None:
        """Read a request and answer it, within the limits on its head and on time."""
        self._head.begin_request()
        self.server.set_deadline(self.connection, _HEAD_TIMEOUT_S)
        try:
            super().handle_one_request()
        except _TooLongError:
            self.close_connection = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Handle every method alike, those that nobody has thought of too: the library looks for `do_METHOD`."""
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the name is the library's
        """Print nothing: what counts is in the records."""

    def _handle(self) -> None:
        """Answer one request, whatever its method is.

        There are four kinds: of cargo, for crates; for another host, which is refused; for a page or a file of the
        index, with the token of a session in its path; and anything else, which is not found.
        """
        self.server.set_deadline(self.connection, _ANSWER_TIMEOUT_S)
        try:
            is_for_other_host = self.command == "CONNECT" or self._is_for_other_host()
            parts = urlsplit(self.path).path.strip("/").split("/")
        except ValueError:  # such as a host in brackets that is no address
            self.close_connection = True
            self._answer(400)
            return

        if is_for_other_host and self._is_for_crates():
            self._answer_cargo([unquote(part) for part in parts])
            return
        if is_for_other_host:
            self._refuse()
            return

        token, *path = [unquote(part) for part in parts]
        session = self.sessions.get(token, self.client_address[0])
        is_known_path = len(path) in {2, 3} and path[0] == _CHANNEL
        is_reading = self.command in {"GET", "HEAD"}
        if session is None or not is_reading or not is_known_path:
            self.close_connection = True  # there may be a body, which nobody reads
            self._answer(404)
            return

        if not session.admit_request():
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
            return

        try:
            _, project, *filename = path
            if filename:
                self._send_file(session, project, *filename)
            else:
                self._send_page(session, project)
        except MissingError:
            self._answer(404)
        except SilentError as error:
            session.record("silent", what=str(error))
            self._answer(503, _SILENT)

    # --- as the proxy of a build ------------------------------------------------------------------------------------

    def _is_for_other_host(self) -> bool:
        """Return whether a client takes this server for its HTTP proxy and wants another host.

        Such a client sends a whole URL in place of a path. A URL of this very server is as good as its path.
        """
        is_whole_url = bool(urlsplit(self.path).scheme)
        host, port = self.connection.getsockname()[:2]
        return is_whole_url and self._wanted_host() != f"{host}:{port}"

    def _wanted_host(self) -> str:
        """Return the host, with its port if one is given, that a client wants to reach through this server."""
        if self.command == "CONNECT":
            return self.path

        return urlsplit(self.path).netloc.rpartition("@")[2]

    def _refuse(self) -> None:
        """Answer 403 to a client that wants another host, after recording that host in the client's session.

        A session stands for one build, and is found by the network on which the client is. Where there is none the
        request is refused all the same, but not recorded.
        """
        host = self._wanted_host()
        session = self.sessions.get_by_address(self.client_address[0])
        if session is not None:
            session.record_host(host)

        self.close_connection = True  # there may be a body, which nobody reads
        self._answer(403, _REFUSED.format(ascii(host)).encode())

    # --- as a registry of crates ------------------------------------------------------------------------------------

    def _is_for_crates(self) -> bool:
        """Return whether cargo asks for the registry of crates."""
        is_reading = self.command in {"GET", "HEAD"}
        return is_reading and self._wanted_host() == _CRATES_HOST

    def _answer_cargo(self, path: list[str]) -> None:
        """Answer a request for the registry of crates: its configuration, a page of its index, or a crate.

        The session is the one on whose network the client is.
        """
        session = self.sessions.get_by_address(self.client_address[0])
        if session is None:
            self._answer(404)
            return
        if not session.admit_request():
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
            return

        try:
            if path == ["config.json"]:
                downloads = {"dl": f"http://{_CRATES_HOST}/{_DOWNLOADS}"}
                self._answer(200, json.dumps(downloads).encode(), "application/json")
            elif path[0] == _DOWNLOADS and len(path) == _DOWNLOAD_PARTS:
                _, name, version, _ = path
                self._send_crate(session, name, version)
            else:
                self._send_crate_page(session, path)
        except MissingError:
            self._answer(404)
        except MismatchError as error:
            session.record("no-crate", what=str(error))
            self._answer(409, f"wheelfarm: {error}\n".encode())
        except SilentError as error:
            session.record("no-crate", what=str(error))
            self._answer(503, _NO_CRATE)

    def _crate_page(self, session: Session, name: str) -> Page:
        """Return what the index says of a crate to a session; to a locked one what it said when that was recorded.

        Raises:
            MissingError: the registry does not have the crate, or the session's lock does not.
            SilentError: the registry did not answer, and the farm holds nothing of the crate.
        """
        if not session.locked:
            return self.crates.page(name)

        page = self.crates.find_page(session.locked_page(parse_name(name).lower()))
        if page is None:
            raise MissingError
        return page

    def _send_crate_page(self, session: Session, path: list[str]) -> None:
        """Send what the index says of a crate, and record that the session had it.

        Raises:
            MissingError: there is no such crate for this session.
            SilentError: the registry did not give it.
        """
        name = parse_name(path[-1])
        if "/".join(path) != index_path(name):
            raise MissingError

        page = self._crate_page(session, name)
        if not session.record("crate-page", name=name.lower(), sha256=page.sha256):
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
            return
        self._send_path(session, page.path)

    def _send_crate(self, session: Session, name: str, version: str) -> None:
        """Send the file of a crate that the index lists, and record that the session had it.

        Raises:
            MissingError: there is no such crate for this session.
            MismatchError: its file is not the one that the index lists.
            SilentError: the registry did not give it.
        """
        sha256 = self._crate_page(session, name).checksums.get(version)
        if sha256 is None or not session.allows_crate(name, sha256):
            raise MissingError

        path = self.crates.crate(name, version, sha256)
        if not session.record("crate", name=name, version=version, sha256=sha256):
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
            return
        self._send_path(session, path)

    # --- as an index ------------------------------------------------------------------------------------------------

    def _entries(self, session: Session, project: str) -> list[Entry]:
        """Return the files of a project that a session may have, as a page describes them (PEP 691).

        Raises:
            MissingError: the index does not know the project.
            SilentError: the index did not answer, and the farm holds nothing of the project.
        """
        if session.locked:
            return session.locked_files(project)

        return self.upstream.page(project)

    def _send_page(self, session: Session, project: str) -> None:
        """Send the page of a project, as JSON; its links are the file names, relative to the page."""
        files = []
        for entry in self._entries(session, project):
            files.append({**entry, "url": quote(entry["filename"])})

        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
        self._answer(200, json.dumps(page).encode(), _JSON)

    def _send_file(self, session: Session, project: str, filename: str) -> None:
        """Send a file of a project, or the metadata of a wheel (PEP 658), and record that the session had the file.

        Metadata is not to be had in a locked session: the file has it too.

        Raises:
            MissingError: there is no such file for this session.
            SilentError: the index did not give it.
        """
        if filename.endswith(_METADATA) and not session.locked:
            self._answer(200, self.upstream.metadata(project, filename))
            return

        entry = _find_entry(self._entries(session, project), filename)
        entry, path = self.upstream.file(project, entry)
        # Recorded before it is sent: whoever has read the whole file is in the record.
        if self.command == "GET" and not session.record("file", project=project, entry=entry):
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
            return
        self._send_path(session, path)

    def _send_path(self, session: Session, path: Path) -> None:
        """Send a file, and count its bytes for the session."""
        size = path.stat().st_size
        if self.command == "GET":
            session.add_file(size)

        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, _CHUNK_BYTES)

    def _answer(self, status: int, body: bytes = b"", content_type: str = "text/plain") -> None:
        """Send a whole answer; of one to HEAD only the header, which is the same as for GET."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Holds many clients at once, each within limits; one that goes away in the middle of an answer is no error."""

    daemon_threads = True
    request_queue_size = 128  # builds begin together, and each opens several connections

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        """Listen at an address; connections are handled by `serve_forever`."""
        super().__init__(address, handler)
        self._connections: Counter[str] = Counter()
        self._deadlines: dict[socket.socket, float] = {}
        self._mutex = threading.Lock()

    def set_deadline(self, connection: socket.socket, timeout_s: float) -> None:
        """Have a connection cut off after a time, unless another deadline is set or it is closed before."""
        with self._mutex:
            self._deadlines[connection] = time.monotonic() + timeout_s

    def service_actions(self) -> None:
        """Cut off the connections whose time is up; the library calls this about twice a second."""
        now = time.monotonic()
        with self._mutex:
            overdue = [
                connection for connection, deadline in self._deadlines.items() if deadline < now
            ]
            for connection in overdue:
                del self._deadlines[connection]
                with contextlib.suppress(OSError):  # it is closed already
                    connection.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - as the library has it
        """Return whether a client may have another connection; one that may not is closed at once."""
        address = client_address[0]
        with self._mutex:
            is_client_full = self._connections[address] >= _MAX_CONNECTIONS
            is_full = self._connections.total() >= _MAX_ALL_CONNECTIONS
            if is_client_full or is_full:
                return False

            self._connections[address] += 1
            self._deadlines[request] = time.monotonic() + _HEAD_TIMEOUT_S
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Answer a connection's requests, then forget it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            address = client_address[0]
            with self._mutex:
                self._deadlines.pop(request, None)
                self._connections[address] -= 1
                if not self._connections[address]:
                    del self._connections[address]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the library has it
        """Print what went wrong, unless the client just hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _find_entry(entries: list[Entry], filename: str) -> Entry:
    """Return the entry of a file among those of its project.

    Raises:
        MissingError: the project has no such file.
    """
    for entry in entries:
        if entry["filename"] == filename:
            return entry

    raise MissingError


def _make_rule(cache_url: str, environment: dict[str, str]) -> AddressRule:
    """Return where the process itself may connect to for the index: besides what the cache may, to the cache.

    Args:
        cache_url: of the cache.
        environment: the cache's settings.
    """
    indexes = [environment["PROXPI_INDEX_URL"], *environment["PROXPI_EXTRA_INDEX_URLS"].split(",")]
    return AddressRule(
        [url for url in indexes if url],
        trusted_hosts=environment["WHEELFARM_TRUSTED_HOSTS"].split(","),
        services=[cache_url, *_list_http_proxies()],
    )


def _list_http_proxies() -> list[str]:
    """Return the HTTP proxies of the network that this process is told to use."""
    http_proxies = []
    for scheme, url in urllib.request.getproxies().items():
        if scheme in {"http", "https"}:
            http_proxies.append(url if "://" in url else f"http://{url}")

    return http_proxies


def main() -> None:
    """Start the index cache, the name server and this layer, then write `/result/ready`, which the farm waits for."""
    path = Path(sys.argv[1])
    config = json.loads(path.read_text())
    result = Path("/result")

    cache = config["cache"]
    environment = {**os.environ, **config["environment"], **cache["environment"]}
    subprocess.Popen(cache["command"], env=environment)

    # For what this process itself asks for: a redirect of the cache is followed with the host's proxies and CA.
    os.environ.update(config["environment"])
    Handler.upstream = Upstream(
        cache["url"],
        given=path.parent / "files",
        fetched=result / "files",
        held=config["held"],
        rule=_make_rule(cache["url"], cache["environment"]),
        uploaded_before=config["uploaded_before"],
    )
    crates = config["crates"]
    Handler.crates = CrateRegistry(
        crates,
        given=path.parent / "files",
        fetched=result / "files",
        rule=AddressRule(filter(None, [crates["url"]]), services=_list_http_proxies()),
    )
    Handler.sessions = Sessions(path.parent / "sessions", result / "records")

    server = Server((_ADDRESS, config["port"]), Handler)
    name_server = threading.Thread(
        target=names.serve,
        args=((_ADDRESS, config["names_port"]), Handler.sessions),
        daemon=True,
    )
    name_server.start()

    (result / "ready").touch()
    server.serve_forever()


if __name__ == "__main__":
    main()
