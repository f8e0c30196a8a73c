"""The layer over the index cache, with a real HTTP server behind it that stands for the cache, and real clients before it."""

import contextlib
import datetime
import errno
import hashlib
import http.client
import http.server
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config.cool_down import CoolDown
from builder.errors import InfrastructureError
from builder.inside.proxy import names
from builder.inside.proxy.addresses import AddressRule
from builder.inside.proxy.answers import SilentError
from builder.inside.proxy.files import FileFolders
from builder.inside.proxy.handler import Handler
from builder.inside.proxy.listening import Server
from builder.inside.proxy.sessions import Sessions
from builder.inside.proxy.upstream import Upstream
from builder.proxy.configuration import client_environment, list_cutoffs
from builder.proxy.report import SessionReport, parse_record


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

    def open(
        self,
        token: str,
        locked: dict[str, Any] | None = None,
        network: str = "127.0.0.0/8",
    ) -> None:
        description = {"locked": locked, "network": network}
        (self.root / "sessions" / f"{token}.json").write_text(json.dumps(description))

    def end(self, token: str) -> None:
        (self.root / "sessions" / f"{token}.ended").touch()

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

    def get_or_none(self, path: str) -> int | None:
        """Return the status of an answer, or None where the connection was closed instead."""
        try:
            return self.get(path)[0]
        except (ConnectionError, http.client.HTTPException):
            return None

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
                FileFolders(tmp_path / "given", tmp_path / "fetched"),
                held,
                AddressRule(
                    ["https://index.invalid/simple/"],
                    services=[f"http://127.0.0.1:{behind.server_port}/"],
                ),
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


@pytest.mark.parametrize(
    "path",
    [
        "%3F/",
        "%23/",
        "../",
        "%2E%2E/",
        "..%2Ftool/",
        "too%20l/",
        "x" * 200 + "/",
        "tool/..%2F..",
        "tool/%3F.metadata",
    ],
)
def test_a_name_that_is_none_is_not_asked_for_and_silences_nobody(proxy: Proxy, path: str):
    """As a part of an address it leads to other pages; an error of the index would count for every build."""
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"content")
    proxy.cache.pages |= {"tool": [*proxy.cache.pages["tool"], entry("../..", b"")]}
    proxy.open("one")
    assert proxy.get(f"/one/simple/{path}")[0] == 404
    assert all(asked.endswith("/tool/") for asked in proxy.cache.asked)
    assert proxy.get("/one/simple/tool/tool-1.0.tar.gz") == (200, b"content")


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


def test_names_are_told_of_whoever_is_on_the_network(tmp_path: Path):
    sessions = Sessions(tmp_path, tmp_path / "records")
    sessions.note_name("10.0.0.1", "before-there-was-a-session.example")
    for token, network in (("one", "10.0.0.0/28"), ("two", "10.0.0.16/28")):
        description = {"locked": None, "network": network}
        (tmp_path / f"{token}.json").write_text(json.dumps(description))
    sessions.note_name("10.0.0.2", "one.example")
    sessions.note_name("10.0.0.18", "two.example")
    sessions.note_name("10.0.0.33", "nobodys.example")
    sessions.note_name("no address", "nobodys.example")
    for token in ("one", "two"):
        record = (tmp_path / f"records/{token}.jsonl").read_text().splitlines()
        assert [json.loads(line)["host"] for line in record] == [f"{token}.example"]


def test_a_token_is_worth_nothing_on_another_network(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("stolen", network="10.0.0.16/28")
    assert proxy.get("/stolen/simple/tool/")[0] == 404
    assert proxy.get("/stolen/simple/tool/tool-1.0.tar.gz")[0] == 404
    assert proxy.events("stolen") == []
    assert proxy.cache.asked == []


def test_neither_token_nor_address_outlive_their_session(proxy: Proxy):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    assert proxy.names("/one/simple/tool/") == ["tool-1.0.tar.gz"]
    assert proxy.get("http://asked-while-it-lasted.invalid/")[0] == 403
    proxy.end("one")
    assert proxy.get("/one/simple/tool/")[0] == 404
    assert proxy.get("http://asked-afterwards.invalid/")[0] == 403
    assert [event["host"] for event in proxy.events("one")] == ["asked-while-it-lasted.invalid"]

    # Somebody else has the address now.
    proxy.open("two")
    assert proxy.get("http://asked-by-the-next.invalid/")[0] == 403
    assert [event["host"] for event in proxy.events("two")] == ["asked-by-the-next.invalid"]
    assert len(proxy.events("one")) == 1


@pytest.mark.parametrize("token", ["x" * 5000, "..", "%2e%2e", "a/b", "\u0661\u0662", ""])
def test_what_is_no_token_is_no_path(tmp_path: Path, token: str):
    assert Sessions(tmp_path, tmp_path / "records").get(token, "127.0.0.1") is None


def test_a_session_has_so_many_requests_and_bytes(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    monkeypatch.setattr("builder.inside.proxy.sessions._MAX_REQUESTS", 2)
    statuses = [proxy.get("/one/simple/tool/")[0] for _ in range(3)]
    assert statuses == [200, 200, 429]

    proxy.end("one")
    proxy.open("two")
    monkeypatch.setattr("builder.inside.proxy.sessions._MAX_REQUESTS", 100)
    monkeypatch.setattr("builder.inside.proxy.sessions._MAX_FILE_BYTES", 10)
    statuses = [proxy.get("/two/simple/tool/tool-1.0.tar.gz")[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_record_has_so_many_hosts_and_each_is_printable(proxy: Proxy, tmp_path: Path):
    proxy.open("one")
    sessions = Sessions(proxy.root / "sessions", tmp_path / "other-records")
    session = sessions.get("one", "127.0.0.1")
    assert session is not None
    session.record_host("\x1b]0;owned\x07\n::error::\u202e" + "x" * 1000)
    for number in range(2000):
        session.record_host(f"h{number}.invalid")
    lines = (tmp_path / "other-records/one.jsonl").read_text().splitlines()
    hosts = [json.loads(line)["host"] for line in lines]
    assert len(hosts) == 500
    assert hosts[0].isprintable()
    assert hosts[0].isascii()
    assert len(hosts[0]) < 400


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: %s\r\n" % (n, b"y" * 60_000) for n in range(50)),
        b"GET /" + b"x" * 70_000,
        b"GET http://[::1/ HTTP/1.1\r\n\r\n",
        b"CONNECT [ HTTP/1.1\r\n\r\n",
        b"\xff\xfe\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_no_head_of_a_request_stops_the_server(proxy: Proxy, head: bytes):
    with (
        socket.create_connection(("127.0.0.1", proxy.port), 10) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(head)
        client.recv(1 << 16)
    proxy.open("one")
    assert proxy.get("/one/simple/unheard-of/")[0] == 404


def test_a_client_has_so_many_connections(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builder.inside.proxy.listening._MAX_CONNECTIONS", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
        one_more = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
        with contextlib.suppress(ConnectionError):
            assert one_more.recv(1) == b""
    proxy.open("one")
    deadline = time.monotonic() + 10
    while proxy.get_or_none("/one/simple/unheard-of/") != 404:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("limit", ["listening.HEAD_TIMEOUT_S", "handler._ANSWER_TIMEOUT_S"])
def test_who_is_slow_is_cut_off(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, limit: str):
    """A client that sends a byte now and then, and one that reads none of a long answer."""
    monkeypatch.setattr(f"builder.inside.proxy.{limit}", 0.5)
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"x" * (64 << 20))
    proxy.open("one")
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        if limit == "handler._ANSWER_TIMEOUT_S":
            client.sendall(b"GET /one/simple/tool/tool-1.0.tar.gz HTTP/1.1\r\n\r\n")
            time.sleep(2)
            received = 0
            with contextlib.suppress(ConnectionError):
                while data := client.recv(1 << 20):
                    received += len(data)
            assert received < 64 << 20
            return

        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < began + 8:
                client.sendall(b"G")
                time.sleep(0.1)
        assert time.monotonic() < began + 6


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


class Refusing:
    """A socket on which a packet waits, and which cannot send: as to a client whose port is 0."""

    def __init__(self, packet: bytes) -> None:
        self._packet = packet

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        return self._packet, ("10.0.0.2", 0)

    def sendto(self, _: bytes, __: tuple[str, int]) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")


QUESTIONS = st.builds(
    lambda flags, name, rest: b"\x12\x34" + flags + b"\0\1" + b"\0" * 6 + name + rest,
    st.binary(min_size=2, max_size=2),
    st.binary(max_size=300),
    st.binary(max_size=8),
)


@given(st.one_of(st.binary(max_size=80), QUESTIONS))
def test_nothing_that_arrives_stops_the_name_server(packet: bytes):
    with tempfile.TemporaryDirectory() as folder:
        sessions = Sessions(Path(folder), Path(folder) / "records")
        description = {"locked": None, "network": "10.0.0.0/28"}
        (Path(folder) / "one.json").write_text(json.dumps(description))
        names.answer_next(cast("socket.socket", Refusing(packet)), sessions)


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


def test_a_record_has_so_many_bytes_and_unrecorded_files_are_not_sent(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    proxy.cache.add("tool", "tool-1.0.tar.gz", b"an sdist")
    proxy.open("one")
    monkeypatch.setattr("builder.inside.proxy.sessions._MAX_RECORD_BYTES", 20)
    assert proxy.get("/one/simple/tool/tool-1.0.tar.gz")[0] == 429
    assert not (proxy.root / "records/one.jsonl").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b'{"kind": "new"}',
        b'{"kind": "asked", "host": 1}',
        b'{"kind": "file", "project": "a", "entry": {"filename": "../a", "hashes": {"sha256": "/etc"}}}',
        b'{"kind": "asked", "host": "' + b"x" * (17 << 20) + b'"}',
        b'{"kind": "asked", "host": "a"}\n' * 50_000,
    ],
    ids=range(7),
)
def test_what_is_no_event_is_no_report(line: bytes):
    with pytest.raises(InfrastructureError, match="record of a session"):
        parse_record(line)


def test_hosts_of_a_record_are_printable():
    (event,) = parse_record(json.dumps({"kind": "asked", "host": "\x1b]0;owned\x07"}).encode())
    assert event["host"].isprintable()


def test_no_redirect_of_the_cache_leads_to_this_machine(tmp_path: Path):
    reached = []

    class Inside(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reached.append(self.path)
            self.send_response(200)
            self.end_headers()

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{inside.server_port}/secret")
            self.end_headers()

    inside = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inside)
    cache = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    threads = [listening(one) for one in (inside, cache)]
    url = f"http://127.0.0.1:{cache.server_port}/index/"
    rule = AddressRule(["http://index.invalid/simple/"], services=[url])
    try:
        upstream = Upstream(url, FileFolders(tmp_path, tmp_path / "fetched"), {}, rule)
        with pytest.raises(SilentError):
            upstream.page("tool")
    finally:
        for server in (inside, cache):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
    assert reached == []


def test_a_build_gets_no_file_that_is_too_young_or_has_no_upload_time(tmp_path: Path):
    page = {
        "files": [
            {"filename": "a-1.tar.gz", "hashes": {}, "upload-time": "2026-11-01T00:00:00Z"},
            {"filename": "a-2.tar.gz", "hashes": {}, "upload-time": "2026-11-25T00:00:00Z"},
            {"filename": "a-3.tar.gz", "hashes": {}},
            {"filename": "a-4.tar.gz", "hashes": {}, "upload-time": 7},
        ]
    }

    class Cache(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cache)
    thread = listening(server)
    url = f"http://127.0.0.1:{server.server_port}/index/"
    cool_down = CoolDown(
        now=datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC),
        default=datetime.timedelta(days=7),
        by_name={"free": datetime.timedelta(), "slow-one": datetime.timedelta(days=100)},
    )
    upstream = Upstream(
        url,
        FileFolders(tmp_path, tmp_path / "fetched"),
        {},
        AddressRule(["https://index.invalid/simple/"], services=[url]),
        uploaded_before=list_cutoffs(cool_down),
    )
    try:
        served = {name: len(upstream.page(name)) for name in ("a", "free", "Slow_One")}
        assert [entry["filename"] for entry in upstream.page("a")] == ["a-1.tar.gz"]
        assert served == {"a": 1, "free": 4, "Slow_One": 0}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
