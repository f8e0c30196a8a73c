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


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    protocol_version = "HTTP/1.1"
    sessions: Sessions
    upstream: Upstream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of HTTP is handled alike
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the name is the library's
        """Print nothing: what counts is in the records."""

    def _handle(self) -> None:
        if self.command == "CONNECT" or self._is_elsewhere():
            self._refuse()
            return
        token, *path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        session = self.sessions.get(token)
        if (
            session is None
            or self.command not in {"GET", "HEAD"}
            or len(path) not in {2, 3}
            or path[0] != _CHANNEL
        ):
            self.close_connection = True  # there may be a body, which nobody reads
            self._answer(404)
            return
        self.sessions.seen(self.client_address[0], session)
        try:
            _, project, *filename = path
            self._file(session, project, *filename) if filename else self._page(session, project)
        except MissingError:
            self._answer(404)
        except SilentError as silent:
            session.note("silent", what=str(silent))
            self._answer(503, b"wheelfarm: the package index does not answer\n")

    def _is_elsewhere(self) -> bool:
        """Return whether a client takes this for its proxy and wants another host."""
        parts = urlsplit(self.path)
        return bool(parts.scheme) and parts.netloc.rpartition("@")[2] != self._own()

    def _own(self) -> str:
        return "{}:{}".format(*self.connection.getsockname()[:2])

    def _refuse(self) -> None:
        host = (
            self.path
            if self.command == "CONNECT"
            else urlsplit(self.path).netloc.rpartition("@")[2]
        )
        session = self.sessions.get(self._proxy_user()) or self.sessions.of(self.client_address[0])
        if session is not None:
            self.sessions.seen(self.client_address[0], session)
            session.note("asked", host=host)
        self.close_connection = True
        self._answer(403, _REFUSED.format(host).encode())

    def _proxy_user(self) -> str:
        given = self.headers.get("Proxy-Authorization", "").rpartition(" ")[2]
        try:
            return base64.b64decode(given).decode().partition(":")[0]
        except ValueError:
            return ""

    def _page(self, session: Session, project: str) -> None:
        entries = session.locked_to(project) if session.locked else self.upstream.page(project)
        files = [{**entry, "url": quote(entry["filename"])} for entry in entries]
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
        self._answer(200, json.dumps(page).encode(), _JSON)

    def _file(self, session: Session, project: str, filename: str) -> None:
        if filename.endswith(_METADATA) and not session.locked:
            self._answer(200, self.upstream.metadata(project, filename))
            return
        entries = session.locked_to(project) if session.locked else self.upstream.page(project)
        entry, path = self.upstream.file(project, _named(entries, filename))
        if (
            self.command == "GET"
        ):  # noted before it is sent: whoever has read the whole file is in the record
            session.note("file", project=project, entry=entry)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)

    def _answer(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Holds many clients at once; one that goes away in the middle of an answer is no error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the library has it
        """Print what went wrong, unless the client just hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _named(entries: list[Entry], filename: str) -> Entry:
    for entry in entries:
        if entry["filename"] == filename:
            return entry
    raise MissingError


def main() -> None:
    """Start the cache, the name server and the layer; then say so in a file."""
    path = Path(sys.argv[1])
    config = json.loads(path.read_text())
    cache = config["cache"]
    subprocess.Popen(
        cache["command"], env={**os.environ, **config["environment"], **cache["environment"]}
    )
    os.environ.update(
        config["environment"]
    )  # a redirect of the cache is followed with the host's proxies and CA
    Handler.upstream = Upstream(
        cache["url"], path.parent / "files", Path("/result/files"), config["held"]
    )
    Handler.sessions = Sessions(path.parent / "sessions", Path("/result/records"))
    server = Server(("0.0.0.0", config["port"]), Handler)
    threading.Thread(
        target=names.serve, args=(("0.0.0.0", config["names_port"]), Handler.sessions), daemon=True
    ).start()
    Path("/result/ready").touch()
    server.serve_forever()


if __name__ == "__main__":
    main()
