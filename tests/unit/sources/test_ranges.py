import http.server
import io
import threading
import zipfile
from pathlib import Path

import pytest
import requests

from builder.distributions.metadata import NotADistributionError
from builder.sources.client import Index
from builder.sources.errors import MalformedAnswerError
from builder.sources.http import open_session
from builder.sources.ranges import NoRangeSupportError, read_wheel_head
from builder.store.store import Store
from tests.unit.local_index import serving

METADATA = "Metadata-Version: 2.1\nName: big\nVersion: 1\nClassifier: Programming Language :: Python :: 3\n"


def make_wheel(
    date: tuple[int, int, int, int, int, int], *, name: str = "big-1.dist-info/METADATA"
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("big/data.bin", bytes(300_000))
        archive.writestr(zipfile.ZipInfo(name, date), METADATA)
    return buffer.getvalue()


@pytest.fixture
def ranged():
    """Serve files by ranges, and count the bytes that go out."""
    files: dict[str, bytes] = {}
    sent: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files[self.path]
            start, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            first = int(start) if start else max(0, len(content) - int(end))
            last = min(int(end), len(content) - 1) if start and end else len(content) - 1
            part = content[first : last + 1]
            sent.append(len(part))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, *_) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", files, sent
    server.shutdown()
    thread.join()
    server.server_close()


def test_metadata_is_read_without_the_rest(ranged: tuple[str, dict[str, bytes], list[int]]):
    address, files, sent = ranged
    files["/big.whl"] = make_wheel((2026, 5, 4, 3, 2, 1))
    with open_session() as session:
        head = read_wheel_head(f"{address}/big.whl", session)
    assert head.metadata["name"] == "big"
    assert head.metadata["classifiers"] == ["Programming Language :: Python :: 3"]
    assert str(head.build_date) == "2026-05-04"
    assert sum(sent) < 100_000 < len(files["/big.whl"])


def test_a_date_that_every_wheel_of_a_backend_has_tells_nothing(
    ranged: tuple[str, dict[str, bytes], list[int]],
):
    address, files, _ = ranged
    with open_session() as session:
        for number, date in enumerate(
            ((1980, 1, 1, 0, 0, 0), (2020, 2, 2, 0, 0, 0), (2026, 13, 45, 0, 0, 0))
        ):
            files[f"/{number}.whl"] = make_wheel(date)
            assert read_wheel_head(f"{address}/{number}.whl", session).build_date is None


def test_what_is_no_wheel_is_said(ranged: tuple[str, dict[str, bytes], list[int]]):
    address, files, _ = ranged
    files["/text.whl"] = b"no archive" * 100
    files["/empty.whl"] = make_wheel((2026, 1, 1, 0, 0, 0), name="big/METADATA")
    with open_session() as session:
        for name in ("text", "empty"):
            with pytest.raises(NotADistributionError):
                read_wheel_head(f"{address}/{name}.whl", session)


def test_whole_files_only_and_silence_are_told_apart(tmp_path: Path):
    store = Store(tmp_path / "wheelhouse")
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings), open_session() as session:
        index.add("big", "big-1-py3-none-any.whl", make_wheel((2026, 1, 1, 0, 0, 0)))
        index.add("bad", "bad-1-py3-none-any.whl", b"no archive")
        with pytest.raises(NoRangeSupportError):
            read_wheel_head(f"{settings.url}big/big-1-py3-none-any.whl", session)
        client = Index(settings, store)
        releases = client.releases("big")
        assert releases is not None
        wheel = releases[0].wheels[0]
        assert client.wheel_head(wheel) is None
        assert client.requirements("big", releases[0]) == ()
        bad = client.releases("bad")
        assert bad is not None
        with pytest.raises(MalformedAnswerError):
            client.requirements("bad", bad[0])
    store.close()
    with open_session() as session, pytest.raises(requests.RequestException):
        read_wheel_head("http://127.0.0.1:9/big.whl", session)
