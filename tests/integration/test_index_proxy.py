"""Builds reach the package index through the farm's proxy and nothing else; locked ones get what they fetched before."""

from __future__ import annotations

import concurrent.futures
import http.server
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.engine.connection import connect
from builder.engine.tasks import Task
from builder.errors import ExitCode
from builder.jobs.images.ids import INDEX_IMAGE, role_image_id
from builder.proxy.proxy import IndexProxy
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.integration.conftest import Workshop, image_of, networks_of

SECRET = "a-password-of-the-index"
CUT_OFF = {
    "PIP_INDEX_URL": f"http://somebody:{SECRET}@127.0.0.1:9/simple/",
    "PIP_EXTRA_INDEX_URL": "",
}
NAME = "forage.example"
MATRIX = """
[farm]
bases = ["debian-12"]
build-on = ["debian-12"]
[packages.steady]
sdist = "steady-1.0.tar.gz"
"""
FORAGER = """
[packages.forager]
sdist = "forager-1.0.tar.gz"
skip = { cp314t = "one is enough" }
"""
NOSY = """
[packages.nosy]
sdist = "nosy-1.0.tar.gz"
"""


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Something to download that is no package index."""

    visitors: list[str]

    def do_GET(self) -> None:
        self.visitors.append(self.client_address[0])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def elsewhere(engine: Engine, images: Workshop) -> Iterator[tuple[str, list[str]]]:
    """Serve on a network of the test's own, and see that a container on it is served: its URL, and who came."""
    network = engine._client.networks.create(
        "wheelfarm-tests-elsewhere", labels={"wheelfarm.farm": engine.farm_id}
    )
    network.reload()
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    visitors: list[str] = []
    handler = type("Bound", (Elsewhere,), {"visitors": visitors})
    server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://{gateway}:{server.server_port}/thing.tar.gz"
    try:
        image = image_of(images, role_image_id("verify", "debian-12"))
        code = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=20).read())"
        command = ["/opt/python/cp314-cp314/bin/python", "-c", code]
        labels = {"wheelfarm.farm": engine.farm_id}
        engine._client.containers.run(
            image, command, network=network.name, remove=True, labels=labels
        )
        assert len(visitors) == 1
        visitors.clear()
        yield url, visitors
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        network.remove()


@pytest.fixture(scope="module")
def done(
    images: Workshop, elsewhere: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Workshop:
    """Run with the index, once."""
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("proxy"))
    needed = (
        f'env = {{ FORAGE_URL = "{elsewhere[0]}", FORAGE_NAME = "{NAME}", FORAGE_NEEDED = "1" }}\n'
    )
    shop.write(MATRIX + FORAGER + needed, "steady", "forager")
    ended = shop.run()
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    return shop


def facts_of(shop: Workshop, job: str) -> dict[str, Any]:
    with sqlite3.connect(shop.wheelhouse / "store/ledger.sqlite") as database:
        row = database.execute(
            "SELECT facts FROM evidence WHERE job = ? ORDER BY recorded_at DESC LIMIT 1", (job,)
        ).fetchone()
    database.close()
    found: dict[str, Any] = json.loads(row[0])
    return found


def test_what_a_build_fetched_is_evidence_and_in_the_cache(done: Workshop):
    facts = facts_of(done, "build:steady@debian-12")
    (setuptools,) = facts["fetched"]
    assert setuptools["filename"].startswith("setuptools-")
    sha256 = setuptools["sha256"]
    assert (done.wheelhouse / "store/index/files" / sha256[:2] / sha256).stat().st_size > 100_000
    assert facts["asked"] == []


def test_a_build_cannot_reach_a_host_other_than_the_index(
    done: Workshop, elsewhere: tuple[str, list[str]]
):
    url, visitors = elsewhere
    (finding, *_) = done.verdicts()["forager"]["abis"]["cp314"]["findings"]
    assert finding["code"] == "WF213"
    assert url.split("/")[2] in finding["detail"]
    assert NAME in finding["detail"]
    assert "[packages.forager]" in finding["remedy"]
    assert visitors == []
    log = (done.wheelhouse / finding["log"]).read_text()
    assert "the download failed; reached []" in log
    for way in ("through_the_proxy", "by_name", "at_an_address"):
        assert f"{way}: " in log


def test_the_proxy_and_its_network_go_with_the_run(done: Workshop, engine: Engine):
    assert networks_of(engine, done.farm_id()) == []


def test_another_machine_with_the_cache_builds_the_same_without_an_index(
    done: Workshop, engine: Engine, tmp_path: Path
):
    """Locked: what is in the cache, what is there and asks for more than it needs, and what is not there."""
    shop = Workshop(root=tmp_path)
    asking = f'env = {{ FORAGE_URL = "http://127.0.0.2:1/", FORAGE_NAME = "{NAME}" }}\n'
    shop.write(MATRIX + FORAGER + asking + NOSY, "steady", "forager", "nosy")
    shutil.copytree(done.wheelhouse / "store/index", shop.wheelhouse / "store/index")
    ended = shop.run("--locked", **CUT_OFF)
    assert ended.returncode == ExitCode.UNDETERMINED, ended.stdout + ended.stderr
    for name in ("steady", "forager"):
        job = f"build:{name}@debian-12"
        assert f"ok     {job}" in ended.stdout
        assert facts_of(shop, job)["fetched"] == facts_of(done, job)["fetched"]
    cp314 = {name: package["abis"]["cp314"] for name, package in shop.verdicts().items()}
    codes = {name: [finding["code"] for finding in abi["findings"]] for name, abi in cp314.items()}
    assert (cp314["steady"]["verdict"], cp314["forager"]["verdict"]) == ("compatible", "compatible")
    assert "WF214" not in codes["steady"]
    assert "WF214" in codes["forager"]
    assert "WF903" in codes["nosy"]
    assert "nothing is recorded of build:nosy@debian-12" in cp314["nosy"]["reason"]
    for path in (shop.wheelhouse / "logs").rglob("*.log"):
        assert SECRET not in path.read_text(errors="replace")
    assert networks_of(engine, shop.farm_id()) == []


LISTEN = """
import json, socket, threading, time
seen = []
server = socket.create_server(("0.0.0.0", 4444))
server.settimeout(0.2)
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.connect(("PROXY", 53))
open("/result/address", "w").write(own.getsockname()[0])
deadline = time.monotonic() + 25
while time.monotonic() < deadline:
    try:
        seen.append(server.accept()[1][0])
    except TimeoutError:
        pass
json.dump(seen, open("/result/seen.json", "w"))
"""
SEARCH = """
import concurrent.futures, ipaddress, json, os, socket, urllib.error, urllib.request
def reach(address, port):
    try:
        socket.create_connection((address, port), 2).close()
        return True
    except OSError:
        return False
def ask(url):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
hosts = [str(host) for subnet in SUBNETS for host in ipaddress.ip_network(subnet).hosts()]
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    open_ports = [
        (host, port)
        for host, port, is_open in pool.map(
            lambda pair: (*pair, reach(*pair)), [(host, port) for host in hosts for port in (4444, 8314, 22, 5000)]
        )
        if is_open
    ]
json.dump(
    {"open": open_ports, "own": ask(os.environ["PIP_INDEX_URL"] + "setuptools/"), "theirs": ask(THEIRS)},
    open("/result/seen.json", "w"),
)
"""


def test_a_build_gets_no_file_that_is_too_young(images: Workshop, workshop: Workshop):
    """Ten years ago there was no setuptools that the package can be built with."""
    assert images
    workshop.write(MATRIX.replace("[farm]", '[farm]\ncool-down = "3650 days"'), "steady")
    workshop.run("--effort", "none")
    abi = workshop.verdicts()["steady"]["abis"]["cp314"]
    assert abi["verdict"] == "build-failure"
    assert "setuptools" in abi["reason"]


def test_two_builds_do_not_meet_and_a_token_is_of_no_use_to_the_other(
    images: Workshop, tmp_path: Path
):
    verify = image_of(images, role_image_id("verify", "debian-12"))
    proxy_image = image_of(images, INDEX_IMAGE)

    # A farm of its own: the network of `elsewhere` is neither counted nor removed.
    engine = connect(f"tests-two-builds-{os.getpid()}")
    stop = threading.Event()
    python = "/opt/python/cp314-cp314/bin/python"
    store = Store(tmp_path / "wheelhouse")
    proxy = IndexProxy(engine, store)
    try:
        with (
            proxy.session(proxy_image, JobId(JobKind.BUILD, "one", "debian-12"), stop) as one,
            proxy.session(proxy_image, JobId(JobKind.BUILD, "two", "debian-12"), stop) as two,
            concurrent.futures.ThreadPoolExecutor(1) as pool,
        ):
            subnets = [session._private_network.subnet for session in (one, two)]
            listening = Task(
                image=verify,
                command=[python, "-c", LISTEN.replace("PROXY", one.network.dns_server)],
                collect="/result",
                network=one.network,
            )
            ended = pool.submit(engine.run, listening, log=tmp_path / "one", stop=stop)
            theirs = one.network.environment["PIP_INDEX_URL"].replace(
                one.network.dns_server, two.network.dns_server
            )
            code = SEARCH.replace("SUBNETS", repr(subnets)).replace("THEIRS", repr(theirs + "setuptools/"))  # fmt: skip
            searching = Task(
                image=verify,
                command=[python, "-c", code],
                collect="/result",
                network=two.network,
            )
            found = engine.run(searching, log=tmp_path / "two", stop=stop)
            seen = json.loads(found.output["result/seen.json"])
            heard = ended.result()

            # The index alone is there, with the own token and at the own address.
            assert seen["open"] == [[two.network.dns_server, 8314]]
            assert (seen["own"], seen["theirs"]) == (200, 404)
            assert heard.output["result/address"].decode() != one.network.dns_server
            assert json.loads(heard.output["result/seen.json"]) == []

            # A session that has ended is worth nothing, and its network is gone.
            names = networks_of(engine, engine.farm_id)
            assert {one.network.network, two.network.network} <= set(names)
        assert networks_of(engine, engine.farm_id) == []
    finally:
        store.close()
        engine.reap()
