"""`wheelfarm publish` against real package indexes: pypiserver and devpi-server, on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from builder import index
from builder.errors import ExitCode, TargetError
from builder.index import upload
from builder.store.store import Store
from tests.integration.proxy import Cut, CuttingProxy
from tests.integration.tools import environment_of

USER, PASSWORD = "farm", "a-password-nobody-prints"
WHEELS = (
    "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl",
    "foo_bar-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl",
    "other-2.0-py3-none-any.whl",
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A package index at work.

    Attributes:
        path: of its address for uploads.
        simple: of its index.
    """

    port: int
    path: str
    simple: str
    user: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"TWINE_USERNAME": self.user, "TWINE_PASSWORD": PASSWORD}

    def url(self, port: int = 0) -> str:
        return f"http://127.0.0.1:{port or self.port}{self.path}"

    def files(self) -> dict[str, str]:
        """Return the sha256 of what it serves, by file name."""
        found = {}
        for project in ("foo-bar", "other"):
            page = requests.get(
                f"http://127.0.0.1:{self.port}{self.simple}{project}/", timeout=30
            ).text
            for filename in WHEELS:
                if f">{filename}</a>" in page:
                    place = page.partition(f"{filename}#sha256=")[2][:64]
                    found[filename] = place
        return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                assert process.poll() is None, log.read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def pypiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("pypiserver")
    hashed = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    (folder / "htpasswd").write_text(f"{USER}:{{SHA}}{hashed}\n")
    (folder / "files").mkdir()
    command = [
        str(environment_of("upload-servers") / "pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port),
        "-P", str(folder / "htpasswd"), "-a", "update", "--hash-algo", "sha256", str(folder / "files"),
    ]  # fmt: skip
    with running(command, port, folder / "log"):
        yield Server(port=port, path="/", simple="/simple/", user=USER)


@pytest.fixture(scope="module")
def devpi_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, programs, folder = (
        free_port(),
        environment_of("upload-servers"),
        tmp_path_factory.mktemp("devpi"),
    )
    data = ["--serverdir", str(folder / "data")]
    init = [str(programs / "devpi-init"), *data, "--no-root-pypi", "--root-passwd", PASSWORD]
    subprocess.run(init, check=True, capture_output=True)
    with running(
        [str(programs / "devpi-server"), *data, "--port", str(port)], port, folder / "log"
    ):
        yield port


@pytest.fixture
def devpi(devpi_port: int) -> Server:
    site, name = f"http://127.0.0.1:{devpi_port}", f"farm-{uuid.uuid4().hex[:8]}"
    login = requests.post(
        f"{site}/+login", json={"user": "root", "password": PASSWORD}, timeout=30
    ).json()
    token = base64.b64encode(f"root:{login['result']['password']}".encode()).decode()
    asked = {"bases": [], "volatile": False}
    requests.put(
        f"{site}/root/{name}", json=asked, headers={"X-Devpi-Auth": token}, timeout=30
    ).raise_for_status()
    return Server(
        port=devpi_port, path=f"/root/{name}/", simple=f"/root/{name}/+simple/", user="root"
    )


@pytest.fixture(params=["pypiserver", "devpi"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    publish(tmp_path / "wheelhouse", seed=1)
    return tmp_path / "wheelhouse"


def publish(wheelhouse: Path, seed: int) -> dict[str, str]:
    """Fill the index with wheels of some size and return their sha256 by name."""
    noise = random.Random(seed)
    store = Store(wheelhouse)
    served = []
    for filename in WHEELS:
        name, version = filename.split("-")[:2]
        path = wheelhouse / "incoming"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}/data", noise.randbytes(300_000))
            text = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
            archive.writestr(f"{name}-{version}.dist-info/METADATA", text)
            archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        served.append(index.ServedFile(filename=filename, sha256=store.add_file(path)))
        path.unlink()
    index.publish(index.describe(served, store), store)
    store.close()
    return {one.filename: one.sha256 for one in served}


def command(wheelhouse: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("TWINE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "builder", "publish", target, "--wheelhouse", str(wheelhouse), "--json"],
        capture_output=True, text=True, check=False, env={**outer, "NO_PROXY": "127.0.0.1", **environment},
    )  # fmt: skip
    assert PASSWORD not in ended.stdout + ended.stderr
    return ended


def offer(wheelhouse: Path, target: str) -> dict[str, str]:
    """Upload in this process, with credentials from its environment, and return what became of each file."""
    store = Store(wheelhouse)
    try:
        done = upload.upload(store, upload.find_target(target), print, threading.Event())
    finally:
        store.close()
    return {one.filename: one.outcome.value for one in done}


def outcomes(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    answer: dict[str, Any] = json.loads(ended.stdout)
    return {file["filename"]: file["outcome"] for file in answer["files"]}


@pytest.mark.parametrize("cuts", [["early", "late"], ["answer"]], ids=["request", "answer"])
def test_files_arrive_whole_and_once_though_connections_are_cut(
    server: Server, wheelhouse: Path, cuts: list[Cut]
):
    with CuttingProxy(server.port) as proxy:
        proxy.cuts = [*cuts]
        first = command(wheelhouse, server.url(proxy.port), **server.credentials)
        assert first.returncode == ExitCode.ADMISSIBLE, first.stderr
        assert set(outcomes(first)) == set(WHEELS)
        assert not proxy.cuts, "every cut was made"
        store = Store(wheelhouse)
        wanted = {
            entry.filename: entry.sha256
            for files in index.current_manifests(store)["simple"].values()
            for entry in files
        }
        store.close()
        assert server.files() == wanted
        connections = proxy.connections
        again = command(wheelhouse, server.url(proxy.port), **server.credentials)
        assert outcomes(again) == dict.fromkeys(WHEELS, "there")
        assert proxy.connections == connections, "what it has is not even offered again"


@pytest.fixture
def user(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """Return the server, with its credentials in the environment."""
    for name, value in {
        **server.credentials,
        "NO_PROXY": "127.0.0.1",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    return server


def test_what_the_server_has_from_elsewhere_counts_as_done(
    user: Server, wheelhouse: Path, tmp_path: Path
):
    assert offer(wheelhouse, user.url()) == dict.fromkeys(WHEELS, "sent")
    publish(tmp_path / "second", seed=1)
    again = offer(tmp_path / "second", user.url())
    assert set(again.values()) <= {"there", "sent"}, "devpi takes the same bytes again and says OK"
    assert set(user.files()) == set(WHEELS)


def test_another_build_of_the_same_name_is_refused(user: Server, wheelhouse: Path):
    offer(wheelhouse, user.url())
    before = user.files()
    publish(wheelhouse, seed=2)
    assert offer(wheelhouse, user.url()) == dict.fromkeys(WHEELS, "refused")
    assert user.files() == before


def test_who_may_not_upload_is_told_so(server: Server, wheelhouse: Path):
    for given in ({}, {"TWINE_USERNAME": server.user, "TWINE_PASSWORD": "wrong"}):
        ended = command(wheelhouse, server.url(), HOME=str(wheelhouse), **given)
        assert ended.returncode == ExitCode.UNDETERMINED
        assert "does not let us in" in ended.stderr
        assert "TWINE_PASSWORD" in ended.stderr
    assert server.files() == {}


def test_an_address_that_takes_no_uploads_is_named(wheelhouse: Path, pypiserver: Server):
    with pytest.raises(TargetError, match="takes no uploads"):
        offer(wheelhouse, pypiserver.url() + "simple/none/")


def test_a_name_in_pypirc_and_credentials_in_an_address(
    server: Server, wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = own\n"
        f"[own]\nrepository = {server.url()}\nusername = {server.user}\npassword = {PASSWORD}\n"
    )
    assert set(offer(wheelhouse, "own").values()) == {"sent"}
    (tmp_path / ".pypirc").unlink()
    address = server.url().replace("://", f"://{server.user}:{PASSWORD}@")
    assert set(offer(wheelhouse, address).values()) == {"there"}, (
        "the same target, however it is named"
    )
