"""The layer over the index cache, with a real HTTP server behind it that stands for the cache, and real clients before it."""

import hashlib
import http.client
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.inside.proxy import names
from builder.inside.proxy.server import Handler, Server
from builder.inside.proxy.sessions import Sessions
from builder.inside.proxy.upstream import Upstream
from builder.proxy.proxy import SessionReport, client_environment


def wheel(project: str, version: str, marker: str = "") -> bytes:
    """Make a wheel with one module; the marker tells two wheels of one name apart."""
    info = f"{project}-{version}.dist-info"
    members = {
        f"{project}.py": f"MARKER = {marker!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*members, f"{info}/RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def entry(filename: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"filename": filename, "hashes": {"sha256": hashlib.sha256(content).hexdigest()}, **more}


@dataclass(kw_only=True)
class Cache:
    """What the index cache answers.

    Attributes:
        pages: entries by project.
        files: content by file name.
        silent: whether it fails, as it does when the index behind it is silent.
        asked: paths it was asked for.
    """

    pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    def add(self, project: str, filename: str, content: bytes) -> str:
        self.pages.setdefault(project, []).append(entry(filename, content))
        self.files[filename] = content
        return hashlib.sha256(content).hexdigest()

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        _, _, project, filename = urllib.parse.unquote(path).split("/")
        if self.silent:
            return 500, b""
        if not filename:
            found = self.pages.get(project)
            return (404, b"") if found is None else (200, json.dumps({"files": found}).encode())
        return (200, self.files[filename]) if filename in self.files else (404, b"")


@dataclass(kw_only=True)
class Proxy:
    """The layer, listening.

    Attributes:
        cache: what is behind it.
        root: its folders.
    """

    cache: Cache
    root: Path
    port: int

    def open(self, token: str, locked: dict[str, Any] | None = None) -> None:
        (self.root / "sessions" / f"{token}.json").write_text(json.dumps({"locked": locked}))

    def give(self, content: bytes) -> None:
        (self.root / "given" / hashlib.sha256(content).hexdigest()).write_bytes(content)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def names(self, path: str) -> list[str]:
        status, page = self.get(path)
        assert status == 200
        return [file["filename"] for file in json.loads(page)["files"]]

    def events(self, token: str) -> list[dict[str, Any]]:
        record = self.root / "records" / f"{token}.jsonl"
        return (
            [json.loads(line) for line in record.read_text().splitlines()]
            if record.exists()
            else []
        )

    def environment(self, token: str) -> dict[str, str]:
        return client_environment("127.0.0.1", self.port, token)


def listening(server: http.server.HTTPServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    return thread


HELD = b"held since an earlier run"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    cache = Cache()

    class CacheHandler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = cache.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            return

    for name in ("sessions", "given"):
        (tmp_path / name).mkdir()
    behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CacheHandler)
    held = {"held": [entry("held-1.0.tar.gz", HELD)]}
    bound = type(
        "Bound",
        (Handler,),
        {
            "upstream": Upstream(
                f"http://127.0.0.1:{behind.server_port}/index/",
                tmp_path / "given",
                tmp_path / "fetched",
                held,
            ),
            "sessions": Sessions(tmp_path / "sessions", tmp_path / "records"),
        },
    )
    server = Server(("127.0.0.1", 0), bound)
    threads = [listening(one) for one in (behind, server)]
    try:
        yield Proxy(cache=cache, root=tmp_path, port=server.server_port)
    finally:
        for one in (server, behind):
            one.shutdown()
            one.server_close()
        for thread in threads:
            thread.join()


def test_what_a_session_fetches_is_in_its_record_with_its_hash_and_no_other(proxy: Proxy):
    sha256 = proxy.cache.add("tool", "tool-1.0+local-py3-none-any.whl", b"a wheel")
    proxy.open("one")
    proxy.open("two")
    assert proxy.names("/one/simple/tool/") == ["tool-1.0+local-py3-none-any.whl"]
    for token in ("one", "two", "one"):
        assert proxy.get(f"/{token}/simple/tool/tool-1.0%2Blocal-py3-none-any.whl") == (
            200,
            b"a wheel",
        )
    proxy.open("idle")
    for token in ("one", "two"):
        (event,) = proxy.events(token)
        assert (event["kind"], event["project"]) == ("file", "tool")
        assert event["entry"]["hashes"] == {"sha256": sha256}
    assert proxy.events("idle") == []
    assert proxy.cache.asked == ["/index/tool/", "/index/tool/tool-1.0%2Blocal-py3-none-any.whl"]


def test_nobody_gets_anything_without_a_session(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    for path in (
        "/",
        "/one/other/tool/",
        "/unknown/simple/tool/",
        "/../sessions/simple/tool/",
        "//simple/tool/",
        "/one/other",
        "/one/simple/tool/a/b",
    ):
        assert proxy.get(path)[0] == 404
    assert proxy.cache.asked == []


def test_a_locked_session_has_its_files_and_no_others(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"older")
    proxy.cache.add("tool", "tool-2.0.tar.gz", b"newer")
    proxy.give(b"older")
    proxy.open("one", locked={"tool": [entry("tool-1.0.tar.gz", b"older")]})
    assert proxy.names("/one/simple/tool/") == ["tool-1.0.tar.gz"]
    assert proxy.get("/one/simple/tool/tool-1.0.tar.gz") == (200, b"older")
    assert proxy.get("/one/simple/tool/tool-2.0.tar.gz")[0] == 404
    assert proxy.names("/one/simple/another/") == []
    assert [event for event in proxy.events("one") if event["kind"] == "unlocked"] == [
        {"kind": "unlocked", "project": "another"}
    ]
    assert proxy.cache.asked == []  # all of it from what was given


def test_a_locked_file_that_is_gone_is_fetched_if_it_is_the_same(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"as it was")
    proxy.open("one", locked={"tool": [entry("tool-1.0.tar.gz", b"as it was")]})
    proxy.open("two", locked={"tool": [entry("tool-1.0.tar.gz", b"as it is no more")]})
    assert proxy.get("/one/simple/tool/tool-1.0.tar.gz") == (200, b"as it was")
    assert proxy.get("/two/simple/tool/tool-1.0.tar.gz")[0] == 503
    (event,) = proxy.events("two")
    assert event["kind"] == "silent"
    assert "not the one that was promised" in event["what"]


def test_where_the_index_is_silent_what_is_held_is_served(proxy: Proxy):
    proxy.cache.silent = True
    proxy.give(HELD)
    proxy.open("one")
    assert proxy.names("/one/simple/held/") == ["held-1.0.tar.gz"]
    assert proxy.get("/one/simple/held/held-1.0.tar.gz") == (200, HELD)
    assert [event["kind"] for event in proxy.events("one")] == ["file"]
    assert proxy.get("/one/simple/tool/")[0] == 503
    assert proxy.events("one")[-1] == {"kind": "silent", "what": "tool"}


def test_a_name_that_the_index_does_not_know_is_no_silence(proxy: Proxy):
    proxy.open("one")
    assert proxy.get("/one/simple/unheard-of/")[0] == 404
    assert proxy.events("one") == []


def test_bytes_that_were_not_promised_are_not_passed_on(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"promised")
    proxy.cache.files["tool-1.0.tar.gz"] = b"something else"
    proxy.open("one")
    assert proxy.get("/one/simple/tool/tool-1.0.tar.gz")[0] == 503
    assert [event["kind"] for event in proxy.events("one")] == ["silent"]


@pytest.mark.parametrize("lent", [True, False])
@pytest.mark.parametrize("locked", [None, {}])
def test_uv_takes_what_is_lent_and_does_not_ask_the_index_for_it(
    proxy: Proxy, tmp_path: Path, *, lent: bool, locked: dict[str, Any] | None
):
    filename = "tool-1.0-py3-none-any.whl"
    theirs = wheel("tool", "1.0", "the index's")
    proxy.cache.add("tool", filename, theirs)
    proxy.open(
        "one", locked=locked if lent or locked is None else {"tool": [entry(filename, theirs)]}
    )
    (tmp_path / filename).write_bytes(wheel("tool", "1.0", "the farm's"))
    constraints = tmp_path / "constraints.txt"  # as a loan has them
    constraints.write_text(f"tool @ {(tmp_path / filename).as_uri()}\n" if lent else "")
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--no-cache",
        "--no-config",
        "--target",
        "site",
        "tool",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "UV_CONSTRAINT": str(constraints),
        **proxy.environment("one"),
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    marker = "the farm's" if lent else "the index's"
    assert (tmp_path / "site/tool.py").read_text() == f"MARKER = {marker!r}\n"
    assert [event["kind"] for event in proxy.events("one")] == ([] if lent else ["file"])


def test_what_a_build_asks_for_besides_is_refused_and_named(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    for name, value in proxy.environment("one").items():
        monkeypatch.setenv(name, value)
    for url in (
        "http://files.example/a.tar.gz",
        "https://secure.example/b",
        "http://127.0.0.2:4444/c",
    ):
        with pytest.raises((urllib.error.HTTPError, OSError), match="403") as refused:
            urllib.request.build_opener().open(url, timeout=30)
        if isinstance(refused.value, urllib.error.HTTPError):
            refused.value.close()
    hosts = [event["host"] for event in proxy.events("one")]
    assert hosts == ["files.example", "secure.example:443", "127.0.0.2:4444"]


def test_a_client_that_asks_its_proxy_for_the_index_gets_it(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    assert proxy.names(f"http://127.0.0.1:{proxy.port}/one/simple/tool/") == ["tool-1.0.tar.gz"]


def test_names_are_told_of_whoever_asked_before_or_after(tmp_path: Path):
    sessions = Sessions(tmp_path, tmp_path / "records")
    (tmp_path / "one.json").write_text(json.dumps({"locked": None}))
    session = sessions.get("one")
    assert session is not None
    sessions.note_name("10.0.0.1", "early.example")
    sessions.note_name("10.0.0.2", "somebody-elses.example")
    sessions.note_client("10.0.0.1", session)
    sessions.note_name("10.0.0.1", "late.example")
    record = (tmp_path / "records/one.jsonl").read_text().splitlines()
    assert [json.loads(line)["host"] for line in record] == ["early.example", "late.example"]


LABELS = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63),
    min_size=1,
    max_size=4,
)


@given(LABELS, st.sampled_from([1, 28, 12]), st.binary(max_size=20))
def test_questions_are_read_and_answered_with_no_such_name(
    labels: list[str], kind: int, rest: bytes
):
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    packet = (
        b"\x12\x34\x01\x00\x00\x01" + b"\0" * 6 + name + kind.to_bytes(2, "big") + b"\0\1" + rest
    )
    found = names.parse_question(packet)
    assert found is not None
    assert (found.name, found.kind) == (".".join(labels), kind)
    answer = names.build_refusal(packet, found.end)
    assert answer[:2] == packet[:2]
    assert answer[3] & 0x0F == 3  # NXDOMAIN
    assert answer[12:] == name + kind.to_bytes(2, "big") + b"\0\1"


@given(st.binary(max_size=80))
def test_nothing_that_arrives_stops_the_name_server(packet: bytes):
    found = names.parse_question(packet)
    if found is not None:
        names.build_refusal(packet, found.end)


def test_a_failure_after_a_silent_index_or_a_lock_that_lacks_something_tells_nothing():
    assert SessionReport(refused_hosts=("files.example",)).infrastructure_error() is None
    silent = SessionReport(unanswered=("tool",)).infrastructure_error()
    assert silent is not None
    assert (silent.code, "did not give tool" in str(silent)) == ("WF106", True)
    unlocked = (
        SessionReport(unanswered=("tool",))
        .merge(SessionReport(missing_from_lock=("another",)))
        .infrastructure_error()
    )
    assert unlocked is not None
    assert (unlocked.code, "--locked: nothing is recorded of another" in str(unlocked)) == (
        "WF903",
        True,
    )
