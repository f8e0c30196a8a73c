"""A package index on the loopback interface that answers whatever an attack wants it to."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class HostileIndex:
    """Answers by path.

    Attributes:
        url: of the index.
        asked: the paths that were asked for, in order.
        stopped: set when the test is over, for answers that would go on for ever.
        service: another server of this machine, which the farm has no reason to ask.
    """

    service: HostileIndex

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.stopped = threading.Event()
        self._answers: dict[str, Answer] = {}

    def answer(self, path: str, answer: Answer) -> None:
        """Let a function answer for a path."""
        self._answers[path] = answer

    def body(self, path: str, content: bytes, kind: str = "text/html", **headers: str) -> None:
        """Answer with a body."""

        def send(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(content)

        self.answer(path, send)

    def redirect(self, path: str, target: str) -> None:
        """Answer with a redirect to an address."""

        def send(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.answer(path, send)

    def page(self, project: str, *links: str) -> None:
        """Answer for a project with a page of links (PEP 503)."""
        text = "<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>"
        self.body(f"/{project}/", text.encode())

    def json_page(self, project: str, files: list[dict[str, Any]], **fields: object) -> None:
        """Answer for a project with a page in JSON (PEP 691)."""
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files, **fields}
        content = json.dumps(page).encode()
        self.body(f"/{project}/", content, "application/vnd.pypi.simple.v1+json")

    def file(self, filename: str, content: bytes) -> str:
        """Serve a file and return a link to it that promises its hash."""
        self.body(f"/files/{filename}", content, "application/octet-stream")
        sha256 = hashlib.sha256(content).hexdigest()
        return f'<a href="/files/{filename}#sha256={sha256}">{filename}</a>'

    def handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer one request; 404 for a path without an answer."""
        path = handler.path.partition("?")[0]
        self.asked.append(path)
        answer = self._answers.get(path)
        if answer is None:
            handler.send_error(404)
        else:
            answer(handler)


def drip(index: HostileIndex, kind: str, start: bytes, piece: bytes, pause_s: float) -> Answer:
    """Return an answer whose body never ends: a piece after each pause, until the client has gone."""

    def send(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(start)
        while not index.stopped.wait(pause_s):
            handler.wfile.write(piece)
            handler.wfile.flush()

    return send


def flood(index: HostileIndex, kind: str, total_bytes: int, **headers: str) -> Answer:
    """Return an answer with a body of many zeros: so much that whoever keeps it in memory shows."""

    def send(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        piece = bytes(1 << 20)
        for _ in range(total_bytes >> 20):
            if index.stopped.is_set():
                return
            handler.wfile.write(piece)

    return send


@contextmanager
def serving() -> Iterator[HostileIndex]:
    """Serve an index without any project, and a service of this machine that the index has no business with."""
    index, service = HostileIndex(), HostileIndex()
    service.body("/", b"what only this machine may ask for")
    with _listening(index), _listening(service):
        index.service = service
        yield index


@contextmanager
def _listening(index: HostileIndex) -> Iterator[None]:
    """Let an index answer on a port of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                index.handle(self)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield
    finally:
        index.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
