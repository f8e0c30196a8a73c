"""pip, uv and pdm install from the farm's index, from files and over HTTP, in every verification image, for every ABI."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from builder import index
from builder.config import catalog
from builder.engine import archives
from builder.engine.client import Engine
from builder.engine.labels import LABEL
from builder.index import constraints
from builder.store.store import Store
from tests.integration.conftest import Workshop
from tests.integration.tools import packages_of

ABIS = {abi.name: f"/opt/python/{abi.directory}/bin/python" for abi in catalog.load().abis.values()}
BASES = [base.name for base in catalog.load().bases.values() if base.enabled]
CLIENTS = ("pip", "uv", "pdm")
WHY = "racy on cp314t: two threads meet in shaky.c"
WORKS = "import steady, choosy; print(steady.twice(21), choosy.WHEEL)"


def tag_of(shop: Workshop, job: str) -> str | None:
    with sqlite3.connect(shop.wheelhouse / "store/ledger.sqlite") as database:
        row = database.execute("SELECT facts FROM evidence WHERE job = ?", (job,)).fetchone()
    database.close()
    return None if row is None else str(json.loads(row[0])["tag"])


def pure_wheel(store: Store, name: str, abi: str, platform: str) -> index.ServedFile:
    """Make a wheel whose file name claims native code; its module says which wheel it came in."""
    tag = f"cp314-{abi}-{platform}"
    path = store.wheelhouse / "incoming"
    members = {
        f"{name}.py": f"WHEEL = {tag!r}\n",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    record = "".join(f"{member},,\n" for member in (*members, f"{name}-1.0.dist-info/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**members, f"{name}-1.0.dist-info/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0)), text)
    sha256 = store.add_file(path)
    path.unlink()
    return index.ServedFile(filename=f"{name}-1.0-{tag}.whl", sha256=sha256)


@pytest.fixture(scope="module")
def wheelhouse(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index with a built package, one to choose of, one in quarantine, and one whose file was tampered with."""
    store = Store(tmp_path_factory.mktemp("clients") / "wheelhouse")
    built = (path for path in sorted((images.wheelhouse / "simple/steady").rglob("*.whl")))
    served = [index.ServedFile(filename=path.name, sha256=store.add_file(path)) for path in built]
    for abi in ABIS:
        served += [
            pure_wheel(store, "choosy", abi, f"manylinux_2_{minor}_x86_64") for minor in (17, 38)
        ]
        served += [pure_wheel(store, "tampered", abi, "manylinux_2_17_x86_64")]
    shaky = [pure_wheel(store, "shaky", abi, "manylinux_2_17_x86_64") for abi in ABIS]
    quarantined = [
        index.ServedFile(filename=one.filename, sha256=one.sha256, yanked=WHY) for one in shaky
    ]
    content, refused = index.describe(served, store), index.describe(quarantined, store)
    index.publish(content, store, refused)
    constraints.write(content, ABIS, {}, store.wheelhouse)
    for path in (store.wheelhouse / "simple/tampered").glob("*.whl"):
        path.write_bytes(path.read_bytes() + b"x")
    store.close()
    return store.wheelhouse


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that leads nowhere but to this machine.

    Attributes:
        address: of this machine in it.
    """

    name: str
    address: str


@pytest.fixture(scope="module")
def network(engine: Engine) -> Iterator[Network]:
    made = engine._client.networks.create(
        f"wheelfarm-{engine.run_id[:12]}",
        driver="bridge",
        internal=True,
        labels={LABEL: engine.farm_id},
    )
    made.reload()
    yield Network(name=str(made.name), address=made.attrs["IPAM"]["Config"][0]["Gateway"])
    made.remove()


@pytest.fixture(scope="module")
def site(wheelhouse: Path, network: Network) -> Iterator[str]:
    """Serve the wheelhouse by `wheelfarm serve`."""
    with socket.create_server((network.address, 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--wheelhouse", str(wheelhouse), "--host", network.address, "--port", str(port)]
    with (wheelhouse.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "builder", "serve", *options], stdout=log, stderr=log
        )
        while True:
            assert process.poll() is None, (wheelhouse.parent / "serve.log").read_text()
            try:
                socket.create_connection((network.address, port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://{network.address}:{port}"
        process.terminate()
        process.wait()


@contextmanager
def container(
    engine: Engine, image: str, network: Network, files: Mapping[str, bytes | Path]
) -> Iterator[Any]:
    made = engine._client.containers.create(
        image, ["sleep", "600"], entrypoint=[], user="farm", network=network.name, labels={LABEL: engine.farm_id},
        security_opt=["no-new-privileges"], cap_drop=["ALL"], mem_limit=2 << 30, pids_limit=512, init=True,
    )  # fmt: skip
    try:
        made.put_archive("/", archives.pack(files))
        made.start()
        yield made
    finally:
        made.remove(force=True, v=True)


def cases(base: str, site: str) -> dict[str, dict[str, Any]]:
    """Return what is tried on a base, by `what-client-abi`."""
    simple, quarantine, files = (
        f"{site}/simple/",
        f"{site}/quarantine/simple/",
        "file:///farm/simple/",
    )
    thorough = CLIENTS if base == BASES[0] else ("pip", "uv")  # pdm takes seconds to start
    found: dict[str, dict[str, Any]] = {}

    def add(what: str, client: str, abi: str, url: str, *wanted: str, tries: str = "") -> None:
        found[f"{what}-{client}-{abi}"] = {
            "client": client, "python": ABIS[abi], "index": url, "wanted": wanted, "tries": tries,
        }  # fmt: skip

    for client, abi in product(CLIENTS, ABIS):
        limits = [] if client == "pdm" else ["--constraint", f"{site}/constraints/{abi}.txt"]
        if client in thorough or abi == "cp314t":
            add("http", client, abi, simple, "steady", "choosy", *limits, tries=WORKS)
        if client in thorough:
            add("file", client, abi, files, "steady", "choosy", tries=WORKS)
    for client in thorough:
        add("refused", client, "cp314t", simple, "shaky")
        add(
            "yanked",
            client,
            "cp314t",
            quarantine,
            "shaky==1.0",
            tries="import shaky; print(shaky.WHEEL)",
        )
        add("tampered", client, "cp314t", simple, "tampered")
    for client in ("pip", "uv"):
        add("hash", client, "cp314t", simple, "--require-hashes", "-r", "/farm/wrong.txt")
    return found


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What the clients did on a base: `code`, what was `said`, and what the installed packages printed when `tried`."""

    base: str
    on_job_end: dict[str, dict[str, Any]]

    def of(self, what: str, *clients: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give (ABI, how it ended) of every try of a kind."""
        for name, ended in self.on_job_end.items():
            kind, client, abi = name.split("-")
            if kind == what and (client in clients or not clients):
                yield abi, ended


@pytest.fixture(scope="module", params=BASES)
def tried(
    request: pytest.FixtureRequest,
    images: Workshop,
    engine: Engine,
    wheelhouse: Path,
    network: Network,
    site: str,
) -> Tried:
    """Try everything on one base, in one container."""
    image = tag_of(images, f"image:verify-{request.param}")
    if image is None:
        assert not request.param.startswith("debian-"), "the Debian archive is promised"
        pytest.skip(f"the base {request.param} could not be had: its archive does not answer")
    root = wheelhouse / "simple"
    files: dict[str, bytes | Path] = {
        f"/farm/simple/{path.relative_to(root)}": path for path in root.rglob("*") if path.is_file()
    }
    tools = packages_of("clients")
    files |= {
        f"/tools/{path.relative_to(tools)}": path
        for path in tools.rglob("*")
        if path.is_file() and path.suffix not in {".so", ".pyc"}
    }
    files["/farm/clients.py"] = Path(__file__).with_name("clients_inside.py")
    files["/farm/wrong.txt"] = f"steady==1.0 --hash=sha256:{'0' * 64}\n".encode()
    files["/farm/cases.json"] = json.dumps(cases(request.param, site)).encode()
    with container(engine, image, network, files) as started:
        code, output = started.exec_run([ABIS["cp314"], "/farm/clients.py", "/farm/cases.json"])
    assert code == 0, output.decode()
    return Tried(base=request.param, on_job_end=json.loads(output))


@pytest.mark.parametrize("what", ["http", "file"])
def test_each_client_installs_the_wheel_for_its_abi_and_base(tried: Tried, what: str):
    newest = 38 if catalog.load().bases[tried.base].glibc_version >= (2, 38) else 17
    for abi, ended in tried.of(what):
        assert ended["tried"] == f"42 cp314-{abi}-manylinux_2_{newest}_x86_64", ended["said"]
    for client in ("pip", "uv"):
        assert [abi for abi, _ in tried.of(what, client)] == list(ABIS)
    assert tried.base != BASES[0] or [abi for abi, _ in tried.of(what, "pdm")] == list(ABIS)


def test_what_is_in_quarantine_is_not_found(tried: Tried):
    for _, ended in tried.of("refused"):
        assert ended["code"] != 0
        assert "shaky" in ended["said"]


def test_who_names_the_quarantine_and_the_version_is_told_why_not(tried: Tried):
    for abi, ended in tried.of("yanked"):
        assert ended["tried"] == f"cp314-{abi}-manylinux_2_17_x86_64", ended["said"]
    for _, ended in tried.of("yanked", "pip", "uv"):  # pdm says nothing of yanks
        assert WHY in ended["said"]


def test_a_file_that_is_not_what_its_page_promised_is_refused(tried: Tried):
    for _, ended in tried.of("tampered"):
        assert ended["code"] != 0
    for _, ended in tried.of(
        "tampered", "pip", "pdm"
    ):  # uv compares no hash it was not given: it finds a broken archive
        assert "hash" in ended["said"].lower()


def test_a_hash_that_is_not_the_file_s_is_refused(tried: Tried):
    for _, ended in tried.of("hash"):
        assert ended["code"] != 0
        assert "0" * 64 in ended["said"]


def test_wheels_of_either_distribution_are_imported_on_the_other(images: Workshop):
    if tag_of(images, "image:verify-ubuntu-24.04") is None:
        pytest.skip("the base ubuntu-24.04 could not be had: its archive does not answer")
    for judgement in images.verdicts()["steady"]["abis"].values():
        assert [wheel["base"] for wheel in judgement["wheels"]] == ["debian-12", "ubuntu-24.04"]
        assert judgement["loaded_on"] == ["debian-12", "debian-13", "ubuntu-24.04"]
        assert judgement["verdict"] in {"compatible", "unproven"}
