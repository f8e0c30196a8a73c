"""A container registry on the loopback interface (OCI Distribution Specification) whose tags move."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Serves images of one file each.

    Attributes:
        host: its address, with the port.
        asked: the paths that were asked for, in order.
        tagged: digests that a tag has, each time that it is asked for the next one; the last one again and again.
        lies: content that is given in the place of another one, by its digest.
    """

    def __init__(self) -> None:
        self.host = ""
        self.asked: list[str] = []
        self.tagged: list[str] = []
        self.lies: dict[str, bytes] = {}
        self._content: dict[str, tuple[bytes, str]] = {}

    def add_image(self, text: str) -> str:
        """Add an image with a text in a file, and return the digest of its manifest."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("text")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(buffer.getvalue())]},
        }
        described = self._add(json.dumps(config).encode(), _CONFIG)
        layer = self._add(gzip.compress(buffer.getvalue(), mtime=0), _LAYER)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": described,
            "layers": [layer],
        }
        digest: str = self._add(json.dumps(manifest).encode(), _MANIFEST)["digest"]
        return digest

    def find(self, path: str) -> tuple[bytes, str, str] | None:
        """Return content, kind and digest of what a path names; None where that is nothing."""
        self.asked.append(path)
        name = path.rpartition("/")[2]
        if "/manifests/" in path and not name.startswith("sha256:"):
            name = self.tagged.pop(0) if len(self.tagged) > 1 else self.tagged[0]
        if name not in self._content:
            return None

        content, kind = self._content[name]
        return self.lies.get(name, content), kind, name

    def _add(self, content: bytes, kind: str) -> dict[str, Any]:
        digest = _digest(content)
        self._content[digest] = (content, kind)
        return {"mediaType": kind, "size": len(content), "digest": digest}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def serving() -> Iterator[Registry]:
    """Serve a registry without any image."""
    registry = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(has_body=True)

        def do_HEAD(self) -> None:
            self._answer(has_body=False)

        def _answer(self, *, has_body: bool) -> None:
            if self.path == "/v2/":
                found: tuple[bytes, str, str] | None = (b"{}", "application/json", "")
            else:
                found = registry.find(self.path)
            if found is None:
                self.send_error(404)
                return

            content, kind, digest = found
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if has_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    registry.host = f"127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
