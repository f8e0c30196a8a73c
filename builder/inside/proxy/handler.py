"""What the proxy answers: a page or a file of the index, crates, Rust toolchains, or a refusal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote, urlsplit

from . import listening
from .answers import MismatchError, MissingError, SilentError
from .crates import CrateRegistry, Page, index_path, parse_name
from .sessions import ExhaustedError, Session, Sessions
from .toolchains import Manifest, ToolchainServer
from .upstream import Entry, Upstream

if TYPE_CHECKING:
    from pathlib import Path

_JSON = "application/vnd.pypi.simple.v1+json"
_CHANNEL = "simple"
_METADATA = ".metadata"
_REFUSED = "wheelfarm: a build reaches the package index alone; {} was refused\n"
_EXHAUSTED = b"wheelfarm: this build has asked the package index for too much\n"
_CHUNK_BYTES = 1 << 20
_CRATES_HOST = "crates.wheelfarm.invalid"
"""Where cargo finds the registry of crates; builder/proxy/crates.py tells it so. No host has such a name (RFC 2606)."""
_TOOLCHAINS_HOST = "rust.wheelfarm.invalid"
"""Where builder/inside/rust/toolchain.py finds Rust toolchains."""
_DOWNLOADS = "dl"
_DOWNLOAD_PARTS = 4  # of a path: dl/NAME/VERSION/download, as cargo makes it

_MAX_HEAD_BYTES = 64 << 10  # request line and headers; those of pip and uv have less than 2 KiB
_ANSWER_TIMEOUT_S = 1800.0  # for the largest files over a slow line; not measured

_Answerer = Callable[[Session, list[str]], None]
_UNANSWERED = {
    "_answer_index": ("silent", b"wheelfarm: the package index does not answer\n"),
    "_answer_cargo": ("no-crate", b"wheelfarm: the registry of crates does not answer\n"),
    "_answer_toolchain": ("no-toolchain", b"wheelfarm: no Rust toolchain is to be had\n"),
}
"""What is recorded where there is no answer, by who would have given it, and what the client is told: no address, which
is no business of a build."""


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
    server: listening.Server
    sessions: Sessions
    upstream: Upstream
    crates: CrateRegistry
    toolchains: ToolchainServer

    def setup(self) -> None:
        """Prepare for the requests of one connection."""
        super().setup()
        self._head = _Head(self.rfile)
        self.rfile = cast("Any", self._head)

    def handle_one_request(self) -> None:
        """Read a request and answer it, within the limits on its head and on time."""
        self._head.begin_request()
        self.server.set_deadline(self.connection, listening.HEAD_TIMEOUT_S)
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

        There are five kinds: of cargo, for crates; for a Rust toolchain; for another host, which is refused; for a page
        or a file of the index, with the token of a session in its path; and anything else, which is not found.
        """
        self.server.set_deadline(self.connection, _ANSWER_TIMEOUT_S)
        try:
            is_for_other_host = self.command == "CONNECT" or self._is_for_other_host()
            parts = urlsplit(self.path).path.strip("/").split("/")
        except ValueError:  # such as a host in brackets that is no address
            self.close_connection = True
            self._answer(400)
            return

        answer_own_host = self._find_own_host() if is_for_other_host else None
        if answer_own_host is not None:
            session = self.sessions.get_by_address(self.client_address[0])
            self._serve(session, answer_own_host, [unquote(part) for part in parts])
            return
        if is_for_other_host:
            self._refuse()
            return

        token, *path = [unquote(part) for part in parts]
        session = self.sessions.get(token, self.client_address[0])
        is_known_path = len(path) in {2, 3} and path[0] == _CHANNEL
        is_reading = self.command in {"GET", "HEAD"}
        if not is_reading or not is_known_path:
            session = None
        if session is None:
            self.close_connection = True  # there may be a body, which nobody reads
        self._serve(session, self._answer_index, path)

    def _serve(self, session: Session | None, answer: _Answerer, path: list[str]) -> None:
        """Answer a request of a session, within its limits, or say why there is no such answer.

        Args:
            session: None where there is none that may ask for this.
            answer: one of the methods below: of the index, of crates, or of toolchains.
            path: what is asked for.
        """
        if session is None:
            self._answer(404)
            return

        try:
            session.admit_request()
            answer(session, path)
        except ExhaustedError:
            self.close_connection = True
            self._answer(429, _EXHAUSTED)
        except MissingError:
            self._answer(404)
        except (MismatchError, SilentError) as error:
            event, body = _UNANSWERED[answer.__name__]
            session.record(event, what=str(error))
            self._answer(409 if isinstance(error, MismatchError) else 503, body)

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

    def _find_own_host(self) -> _Answerer | None:
        """Return what answers for the host that a client wants, if it is one that exists here alone; otherwise None."""
        if self.command not in {"GET", "HEAD"}:
            return None

        own_hosts: dict[str, _Answerer] = {
            _CRATES_HOST: self._answer_cargo,
            _TOOLCHAINS_HOST: self._answer_toolchain,
        }
        return own_hosts.get(self._wanted_host())

    # --- as a registry of crates ------------------------------------------------------------------------------------

    def _answer_cargo(self, session: Session, path: list[str]) -> None:
        """Answer a request for the registry of crates: its configuration, a page of its index, or a crate.

        Raises:
            ExhaustedError: the session has had too much.
            MissingError: there is nothing of the kind for this session.
            MismatchError: a crate is not the one that the index lists.
            SilentError: the registry did not give it.
        """
        if path == ["config.json"]:
            downloads = {"dl": f"http://{_CRATES_HOST}/{_DOWNLOADS}"}
            self._answer(200, json.dumps(downloads).encode(), "application/json")
        elif path[0] == _DOWNLOADS and len(path) == _DOWNLOAD_PARTS:
            _, name, version, _ = path
            self._send_crate(session, name, version)
        else:
            self._send_crate_page(session, path)

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
        session.require_record("crate-page", name=name.lower(), sha256=page.sha256)
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
        session.require_record("crate", name=name, version=version, sha256=sha256)
        self._send_path(session, path)

    # --- as a server of Rust toolchains -----------------------------------------------------------------------------

    def _answer_toolchain(self, session: Session, path: list[str]) -> None:
        """Answer a request for a release of Rust, `/1.90.0`, or for one of its archives, and record it.

        Raises:
            ExhaustedError: the session has had too much.
            MissingError: there is nothing of the kind for this session.
            MismatchError: it is not what the server itself lists.
            SilentError: the server did not give it.
        """
        version, *filenames = path
        manifest = self._toolchain_manifest(session, version)
        if not filenames:
            session.require_record("toolchain", version=version, sha256=manifest.sha256)
            self._answer(200, manifest.listing(), "application/json")
            return

        archive = manifest.find("/".join(filenames))
        path_of_archive = self.toolchains.archive(archive)
        session.require_record(
            "toolchain-file", version=version, filename=archive.filename, sha256=archive.sha256
        )
        self._send_path(session, path_of_archive)

    def _toolchain_manifest(self, session: Session, version: str) -> Manifest:
        """Return the manifest of a release; for a locked session the one that it had when that was recorded.

        Raises:
            MissingError: the server does not have the release, which is recorded, or the session's lock does not.
            MismatchError: the manifest is not the one that the server names.
            SilentError: the server did not answer, and the farm holds nothing of the release.
        """
        if session.locked:
            locked = self.toolchains.find_manifest(version, session.locked_manifest(version))
            if locked is None:
                raise MissingError
            return locked

        try:
            return self.toolchains.manifest(version)
        except MissingError as error:
            if str(error):  # otherwise it is no release that anybody could have
                session.record("lacks-toolchain", what=str(error))
            raise

    # --- as an index ------------------------------------------------------------------------------------------------

    def _answer_index(self, session: Session, path: list[str]) -> None:
        """Answer a request for a page or a file of the index.

        Raises:
            ExhaustedError: the session has had too much.
            MissingError: there is nothing of the kind for this session.
            SilentError: the index did not give it.
        """
        _, project, *filename = path
        if filename:
            self._send_file(session, project, *filename)
        else:
            self._send_page(session, project)

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
        if self.command == "GET":
            session.require_record("file", project=project, entry=entry)
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


def _find_entry(entries: list[Entry], filename: str) -> Entry:
    """Return the entry of a file among those of its project.

    Raises:
        MissingError: the project has no such file.
    """
    for entry in entries:
        if entry["filename"] == filename:
            return entry

    raise MissingError
