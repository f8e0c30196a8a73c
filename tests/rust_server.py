"""A server of Rust toolchains in rustup's format, with archives that tests make."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import tarfile
from collections.abc import Iterator, Mapping

from tests.http_serving import serving

TARGET = "x86_64-unknown-linux-gnu"
ELSEWHERE = "https://rust.invalid"
"""The host that manifests name: a mirror passes on those of another server."""


def make_archive(component: str, version: str, files: Mapping[str, str], kind: str = "xz") -> bytes:
    """Return the archive of a component as rust-installer makes it; files below `bin/` are programs."""
    top = f"{component}-{version}-{TARGET}"
    folder = f"rust-std-{TARGET}" if component == "rust-std" else component
    members = {
        f"{top}/components": f"{folder}\n",
        f"{top}/install.sh": "#!/bin/sh\nexit 1\n",
        f"{top}/rust-installer-version": "3\n",
        f"{top}/version": f"{version} (0123456789 2026-01-02)\n",
        f"{top}/{folder}/manifest.in": "".join(f"file:{path}\n" for path in files),
    }
    members |= {f"{top}/{folder}/{path}": text for path, text in files.items()}
    return make_tar(members, kind)


def make_tar(members: Mapping[str, str], kind: str = "xz") -> bytes:
    """Return a tar of some files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
        for path, text in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            info.mode = 0o755 if "/bin/" in path else 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class RustServer:
    """What a server has.

    Attributes:
        url: its address, while it is served.
        files: by path.
        statuses: what is answered for some paths in place of what is there.
        redirects: where some paths lead.
        asked: the paths that it was asked for, each with the `Authorization` that came along.
    """

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    def add(self, version: str, components: Mapping[str, bytes]) -> dict[str, str]:
        """Add a release with an archive for each component, and return the sha256 of each by file name."""
        lines = ['manifest-version = "2"', 'date = "2026-01-02"']
        hashes: dict[str, str] = {}
        for component, content in components.items():
            filename = f"{component}-{version}-{TARGET}.tar.xz"
            sha256 = hashlib.sha256(content).hexdigest()
            hashes[filename] = sha256
            self.files[f"/dist/2026-01-02/{filename}"] = content
            lines += [
                f"[pkg.{component}]",
                f'version = "{version} (0123456789 2026-01-02)"',
                f"[pkg.{component}.target.{TARGET}]",
                "available = true",
                f'xz_url = "{ELSEWHERE}/dist/2026-01-02/{filename}"',
                f'xz_hash = "{sha256}"',
            ]
        self.add_manifest(version, "\n".join(lines))
        return hashes

    def add_manifest(self, version: str, text: str, *, sha256: str = "") -> None:
        """Add the manifest of a release, and beside it its sha256, or another one."""
        path = f"/dist/channel-rust-{version}.toml"
        self.files[path] = text.encode()
        sha256 = sha256 or hashlib.sha256(text.encode()).hexdigest()
        self.files[f"{path}.sha256"] = f"{sha256}  channel-rust-{version}.toml\n".encode()

    @contextlib.contextmanager
    def serve(self, address: str = "127.0.0.1") -> Iterator[str]:
        """Serve until the block ends; gives the address."""
        rust = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                rust.asked.append((self.path, self.headers.get("Authorization", "")))
                body = rust.files.get(self.path, b"")
                status = rust.statuses.get(self.path, 200 if self.path in rust.files else 404)
                if self.path in rust.redirects:
                    status = 302
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", rust.redirects[self.path])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        with serving(Handler, address) as url:
            self.url = url
            yield self.url
