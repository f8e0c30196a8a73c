import datetime
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

from builder.dependencies import gather, resolve
from builder.dependencies.files import Dependency, DependencyFile
from builder.host.settings import IndexSettings
from builder.sources.client import Index
from builder.store.store import Store
from tests.unit.local_index import sdist, serving, wheel

PYTHON = Version("3.14.5")
UPLOADED = "2025-03-04T05:06:07Z"


@contextmanager
def json_index(page: dict[str, object], file: bytes) -> Iterator[IndexSettings]:
    """Serve one project page as JSON (PEP 691), one file, and nothing else."""
    served = {"/lib/": json.dumps(page).encode(), "/lib.tar.gz": file}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.get(self.path, b"")
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield IndexSettings(url=f"http://127.0.0.1:{server.server_port}/")
    server.shutdown()
    thread.join()
    server.server_close()


def survey(settings: IndexSettings, tmp_path: Path, *specifiers: str) -> gather.Survey:
    store = Store(tmp_path / "wheelhouse")
    index = Index(settings, store)
    wanted = tuple(
        Dependency(name="lib", specifier=specifier, where="r:1") for specifier in specifiers
    )
    file = DependencyFile(
        path=tmp_path / "r", format="requirements.txt", dependencies=wanted, is_complete=True
    )
    resolved = resolve.resolve(file, index, PYTHON, lambda _: None)
    found = gather.survey_dependencies(resolved, index, store, PYTHON, lambda _: None)
    store.close()
    return found


def test_upload_times_of_an_index_that_has_them(tmp_path: Path):
    source = sdist("lib", "2.0")
    entry = {
        "filename": "lib-2.0.tar.gz",
        "url": "/lib.tar.gz",
        "hashes": {},
        "size": len(source),
        "upload-time": UPLOADED,
    }
    page: dict[str, object] = {
        "meta": {"api-version": "1.1"},
        "name": "lib",
        "versions": ["2.0"],
        "files": [entry],
    }
    with json_index(page, source) as settings:
        found = survey(settings, tmp_path, "")
    row = found.rows[0]
    assert (row.newest, row.newest_metadata.day_from) == ("2.0", "index")
    assert row.newest_metadata.day == datetime.date(2025, 3, 4)
    assert found.notes == ()


def test_an_index_without_upload_times_is_said_and_whole_files_are_no_reason_to_stop(
    tmp_path: Path,
):
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        index.add("lib", "lib-1.0-py3-none-any.whl", wheel("lib", "1.0"))
        found = survey(settings, tmp_path, "==1.0")
    assert found.rows[0].newest_metadata.day is None
    assert any("no upload times" in note for note in found.notes)
