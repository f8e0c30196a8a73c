"""A real engine, the farm's images, and wheelhouses of their own for the tests."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.engine import provision
from builder.engine.client import Engine
from builder.engine.connection import connect
from builder.errors import EngineMissingError
from builder.evidence.image import read_image_tag
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.corpus import make_sdist

DEBIAN = '[farm]\nbases = ["debian-12", "debian-13"]\nbuild-on = ["debian-12"]\n'


os.environ["WHEELFARM_EFFORT"] = (
    "none"  # only the tests of threads look for what breaks under threads
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def aloud(request: pytest.FixtureRequest) -> Callable[[list[str]], int]:
    """Run a command whose output is shown as it comes: making images takes minutes on a new machine."""
    manager = request.config.pluginmanager.getplugin("capturemanager")

    def run(command: list[str]) -> int:
        with manager.global_and_fixture_disabled():
            print("\n$", *command, flush=True, file=sys.stderr)
            # Standard error: what a worker of pytest-xdist prints elsewhere is not seen by anybody.
            return subprocess.run(command, check=False, stdout=2).returncode

    return run


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Return an engine that answers."""
    return provision.ensure_engine(print, f"tests-{os.getpid()}")


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A folder with a matrix, sdists and a wheelhouse.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def wheelhouse(self) -> Path:
        return self.root / "wheelhouse"

    def command(self, *options: str, name: str = "run") -> list[str]:
        """Return the command that runs the farm here, or does something else to it."""
        return [
            sys.executable, "-m", "builder", name, "--matrix", str(self.root / "matrix.toml"),
            "--wheelhouse", str(self.wheelhouse), *options,
        ]  # fmt: skip

    def write(self, matrix: str, *sdists: str) -> None:
        """Write the matrix and make sdists of corpus packages."""
        (self.root / "matrix.toml").write_text(matrix)
        for name in sdists:
            make_sdist(name, self.root)

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the farm to its end, quietly."""
        return subprocess.run(
            self.command(*options),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """Return the packages of verdicts.json by name."""
        document = json.loads((self.wheelhouse / "verdicts.json").read_text())
        return {package["name"]: package for package in document["packages"]}

    def farm_id(self) -> str:
        """Return the label of this wheelhouse's containers."""
        store = Store(self.wheelhouse)
        try:
            return store.farm_id
        finally:
            store.close()


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Give an empty workshop, and remove what its compilers kept in the engine."""
    shop = Workshop(root=tmp_path)
    yield shop
    if shop.wheelhouse.exists():
        with contextlib.suppress(EngineMissingError):
            connect(shop.farm_id()).remove_compiler_caches(())


@pytest.fixture(scope="session")
def images(
    tmp_path_factory: pytest.TempPathFactory, aloud: Callable[[list[str]], int], engine: Engine
) -> Workshop:
    """Have every image of the enabled bases made, by a run on one small package, and return its workshop."""
    assert engine
    shop = Workshop(root=tmp_path_factory.mktemp("images"))
    shop.write('[packages.steady]\nsdist = "steady-1.0.tar.gz"\n', "steady")
    with (Path(tempfile.gettempdir()) / "wheelfarm-tests.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # of two workers one makes the images, and the other finds them made
        aloud(shop.command())
    return shop


def image_of(shop: Workshop, job: JobId) -> str:
    """Return the tag of the image that an image job of a workshop's last run made or found.

    The newest image of a repository may be another one: of a matrix with fewer ABIs, for example.
    """
    with Store(shop.wheelhouse) as store:
        newest = "SELECT key FROM evidence WHERE job = ? ORDER BY rowid DESC LIMIT 1"
        row = store.database.fetch_one(newest, (str(job),))
        assert row is not None, f"the run in {shop.root} recorded no evidence of {job}"

        evidence = store.get(row[0])
        assert evidence is not None
        return read_image_tag(evidence)


def containers_of(engine: Engine, farm_id: str) -> list[str]:
    """Return the containers of a farm, running or not."""
    found = engine._client.containers.list(
        all=True, sparse=True, filters={"label": f"wheelfarm.farm={farm_id}"}
    )
    return [str(container.id) for container in found]


def networks_of(engine: Engine, farm_id: str) -> list[str]:
    """Return the networks of a farm."""
    found = engine._client.networks.list(filters={"label": f"wheelfarm.farm={farm_id}"})
    return [str(network.name) for network in found]
