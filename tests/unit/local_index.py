"""A package index on the loopback interface, for tests of the index client."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.host import IndexSettings


def sdist(name: str, version: str, *, requires: tuple[str, ...] = (), static: bool = True) -> bytes:
    """Make an sdist that holds nothing but its metadata."""
    lines = [
        f"Metadata-Version: {'2.2' if static else '2.1'}",
        f"Name: {name}",
        f"Version: {version}",
    ]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    text = ("\n".join(lines) + "\n").encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def wheel(name: str, version: str, *, requires: tuple[str, ...] = ()) -> bytes:
    """Make a wheel that holds nothing but its metadata."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return buffer.getvalue()


class LocalIndex:
    """Projects, each with files, and attributes of their links."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.links: dict[str, list[str]] = {}

    def add(
        self, project: str, filename: str, content: bytes, attributes: str = "", sha256: str = ""
    ) -> str:
        """Serve a file and return the hash its link promises."""
        (self.root / project).mkdir(exist_ok=True)
        (self.root / project / filename).write_bytes(content)
        promised = sha256 or hashlib.sha256(content).hexdigest()
        self.links.setdefault(project, []).append(
            f'<a href="{filename}#sha256={promised}" {attributes}>{filename}</a>'
        )
        (self.root / project / "index.html").write_text(
            "<html><body>" + "".join(self.links[project]) + "</body></html>"
        )
        return promised


@contextmanager
def serving(root: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    """Serve a new index."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(root))

        def log_message(self, *_) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield LocalIndex(root), IndexSettings(url=f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
