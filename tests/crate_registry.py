"""A sparse registry of crates, as cargo asks it (The Cargo Book, "Registry Index"), with crates that tests make."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from tests.http_serving import serving


def make_crate(name: str, version: str, files: Mapping[str, str]) -> bytes:
    """Return the file of a crate; it gets a Cargo.toml if it has none."""
    manifest = f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in {"Cargo.toml": manifest, **files}.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Registry:
    """What a registry has.

    Attributes:
        url: of its index, while it is served.
        pages: lines of the index, by path.
        files: of crates, by path.
        statuses: what is answered for some paths in place of what is there.
        config: its `config.json`; None for one that fits.
        asked: the paths that it was asked for, each with the `Authorization` that came along.
    """

    def __init__(self) -> None:
        self.url = ""
        self.pages: dict[str, list[bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.config: dict[str, Any] | None = None
        self.asked: list[tuple[str, str]] = []

    def add(self, name: str, version: str, content: bytes, *, promised: bytes | None = None) -> str:
        """Add a crate, and return the sha256 that the index lists: of other bytes, where these are promised."""
        sha256 = hashlib.sha256(content if promised is None else promised).hexdigest()
        line = {"name": name, "vers": version, "deps": [], "cksum": sha256, "features": {}, "yanked": False}  # fmt: skip
        self.pages.setdefault(index_path(name), []).append(json.dumps(line).encode())
        self.files[f"/files/{name}/{version}/download"] = content
        return sha256

    def answer(self, path: str, authorization: str = "") -> tuple[int, bytes]:
        """Return (status, body)."""
        self.asked.append((path, authorization))
        if path in self.statuses:
            return self.statuses[path], b""
        if path == "/index/config.json":
            config = (
                {"dl": self.url.replace("/index/", "/files")}
                if self.config is None
                else self.config
            )
            return 200, json.dumps(config).encode()
        if path in self.pages:
            return 200, b"\n".join(self.pages[path]) + b"\n"
        return (200, self.files[path]) if path in self.files else (404, b"")

    @contextlib.contextmanager
    def serve(self, address: str = "127.0.0.1") -> Iterator[str]:
        """Serve until the block ends; gives the URL of the index."""
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = registry.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        with serving(Handler, address) as url:
            self.url = f"{url}index/"
            yield self.url


def index_path(name: str) -> str:
    """Return where the index has a crate, for names of four letters and more: `tiny -> /index/ti/ny/tiny`."""
    return f"/index/{name[:2]}/{name[2:4]}/{name}"
