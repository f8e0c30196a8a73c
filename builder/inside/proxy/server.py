"""The farm's index proxy: a thin layer over an index cache that runs beside it in the same container.

Usage: python -m inside.proxy CONFIG.json

What it is given lies beside the configuration: `files/`, `sessions/`.

The layer adds what the cache does not have: a record of what each build fetched, pages that hold only what is locked,
and files the farm knows already when the index is silent. Every build has a session, named by a token that is part of
its index's address:

    /TOKEN/simple/PROJECT/      what the index has, or in a locked session only what is recorded

Builds are also told that this is their HTTP proxy and their name server: whatever they ask for beside the index is
refused, and written down. Pages are JSON (PEP 691), which every client that is asked to use them takes.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from . import names
from .sessions import Session, Sessions
from .upstream import Entry, MissingError, SilentError, Upstream

_JSON = "application/vnd.pypi.simple.v1+json"
_CHANNEL = "simple"
_METADATA = ".metadata"
_REFUSED = "wheelfarm: a build reaches the package index alone; {} was refused\n"
_SILENT = b"wheelfarm: the package index does not answer\n"
_CHUNK_BYTES = 1 << 20
_ADDRESS = (
    "0.0.0.0"  # the container's address on the private network is not known yet when this starts
)


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    protocol_version = "HTTP/1.1"
    sessions: Sessions
    upstream: Upstream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Handle every method alike, those that nobody has thought of too: the library looks for `do_METHOD`."""
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the name is the library's
        """Print nothing: what counts is in the records."""

    def _handle(self) -> None:
        """Answer one request, whatever its method is.

        There are three kinds: for another host, which is refused; for a page or a file of the index, with the token of
        a session in its path; and anything else, which is not found.
        """
        if self.command == "CONNECT" or self._is_for_other_host():
            self._refuse()
            return

        parts = urlsplit(self.path).path.strip("/").split("/")
        token, *path = [unquote(part) for part in parts]
        session = self.sessions.get(token)
        is_known_path = len(path) in {2, 3} and path[0] == _CHANNEL
        is_reading = self.command in {"GET", "HEAD"}
        if session is None or not is_reading or not is_known_path:
            self.close_connection = True  # there may be a body, which nobody reads
            self._answer(404)
            return

        self.sessions.note_client(self.client_address[0], session)
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

        A session stands for one build. It is found by the user name in the proxy's URL, which is the session's token,
        or else by the address from which the client has come before. Where neither leads to a session the request is
        refused all the same, but not recorded.
        """
        host = self._wanted_host()
        address = self.client_address[0]
        session = self.sessions.get(self._proxy_user()) or self.sessions.get_by_address(address)
        if session is not None:
            # From now on this address alone tells the session, to the name server too, which sees no token.
            self.sessions.note_client(address, session)
            session.record("asked", host=host)

        self.close_connection = True  # there may be a body, which nobody reads
        self._answer(403, _REFUSED.format(host).encode())

    def _proxy_user(self) -> str:
        """Return the user name with which a client logs in to its proxy, which is the session's token.

        Empty where there is none, or where the header is not what it should be.
        """
        credentials = self.headers.get("Proxy-Authorization", "").rpartition(" ")[2]
        try:
            return base64.b64decode(credentials).decode().partition(":")[0]
        except ValueError:
            return ""

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
        if self.command == "GET":
            session.record("file", project=project, entry=entry)

        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
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
    """Holds many clients at once; one that goes away in the middle of an answer is no error."""

    daemon_threads = True
    request_queue_size = 128  # builds begin together, and each opens several connections

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
        cache["url"], given=path.parent / "files", fetched=result / "files", held=config["held"]
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
