"""A package index on the loopback interface, for tests of the index client."""

import datetime
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.host.settings import IndexSettings


def archive(kind: str, files: dict[str, bytes]) -> bytes:
    """Pack files as an sdist of one kind, `tar.gz` or `zip`, in the order they have."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def sdist(
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    static: bool = True,
    kind: str = "tar.gz",
    requires_python: str = "",
    root: str | None = None,
) -> bytes:
    """Make an sdist that holds nothing but its metadata.

    `root` is what the folder is called that all is in, with a slash at its end; empty for an archive without one.
    """
    lines = [
        f"Metadata-Version: {'2.2' if static else '2.1'}",
        f"Name: {name}",
        f"Version: {version}",
    ]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    folder = f"{name}-{version}/" if root is None else root
    return archive(kind, {f"{folder}PKG-INFO": ("\n".join(lines) + "\n").encode()})


def wheel(name: str, version: str, *, requires: tuple[str, ...] = ()) -> bytes:
    """Make a wheel that holds nothing but its metadata."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return buffer.getvalue()


JSON = "application/vnd.pypi.simple.v1+json"


class LocalIndex:
    """Projects, each with files, and attributes of their links.

    Attributes:
        asked: the paths that were asked for, in order.
        refusals: by path, the statuses and headers that are answered before the file is.
        cut_off: by path, how often the connection still breaks off in the middle of the file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.links: dict[str, list[str]] = {}
        self.entries: dict[str, list[dict[str, object]]] = {}
        self.asked: list[str] = []
        self.refusals: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.cut_off: dict[str, int] = {}

    def add(
        self,
        project: str,
        filename: str,
        content: bytes,
        attributes: str = "",
        sha256: str = "",
        uploaded: datetime.datetime | None = None,
    ) -> str:
        """Serve a file and return the hash its link promises. With an upload time the project's page is JSON."""
        (self.root / project).mkdir(exist_ok=True)
        (self.root / project / filename).write_bytes(content)
        promised = sha256 or hashlib.sha256(content).hexdigest()
        self.links.setdefault(project, []).append(
            f'<a href="{filename}#sha256={promised}" {attributes}>{filename}</a>'
        )
        (self.root / project / "index.html").write_text(
            "<html><body>" + "".join(self.links[project]) + "</body></html>"
        )
        if uploaded is not None:
            entry: dict[str, object] = {
                "filename": filename,
                "url": filename,
                "hashes": {"sha256": promised},
                "upload-time": uploaded.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            self.entries.setdefault(project, []).append(entry)
        return promised

    def make_page(self, project: str) -> bytes:
        """Return a project's page as JSON (PEP 691)."""
        page = {"meta": {"api-version": "1.1"}, "name": project, "files": self.entries[project]}
        return json.dumps(page).encode()


@contextmanager
def serving(root: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    """Serve a new index."""
    index = LocalIndex(root)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(root))

        def do_GET(self) -> None:
            index.asked.append(self.path)
            refusals = index.refusals.get(self.path)
            if refusals:
                self.answer(*refusals.pop(0))
            elif self.path.strip("/") in index.entries:
                self.answer(200, {"Content-Type": JSON}, index.make_page(self.path.strip("/")))
            elif index.cut_off.get(self.path):
                index.cut_off[self.path] -= 1
                self.send_half()
            else:
                super().do_GET()

        def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send_half(self) -> None:
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])

        def log_message(self, *_) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield index, IndexSettings(url=f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
