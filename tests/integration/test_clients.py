"""pip and uv install from the farm's index alone, in every verification image, for every ABI."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from builder import catalog
from builder.engine import Engine, Limits, Task
from tests.integration.conftest import Workshop

ABIS = {abi.name: f"/opt/python/{abi.directory}/bin/python" for abi in catalog.load().abis.values()}
CLIENTS = {
    "pip": "{python} -m pip install --isolated --no-cache-dir --target /tmp/site --index-url file:///farm/simple/ steady",
    "uv": "uv pip install --no-cache --offline --python {python} --target /tmp/site --default-index file:///farm/simple/ steady",
}


def tag_of(shop: Workshop, job: str) -> str | None:
    with sqlite3.connect(shop.wheelhouse / "store/ledger.sqlite") as database:
        row = database.execute("SELECT facts FROM evidence WHERE job = ?", (job,)).fetchone()
    database.close()
    return None if row is None else str(json.loads(row[0])["tag"])


@pytest.mark.parametrize("base", [base.name for base in catalog.load().bases.values() if base.enabled])
@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_installs_from_the_index_alone(
    images: Workshop, engine: Engine, tmp_path: Path, base: str, abi: str, client: str
):
    image = tag_of(images, f"image:verify-{base}")
    if image is None:
        assert not base.startswith("debian-"), "the Debian archive is promised"
        pytest.skip(f"the base {base} could not be had: its archive does not answer")
    root = images.wheelhouse / "simple"
    files: dict[str, bytes | Path] = {
        f"/farm/simple/{path.relative_to(root)}": path for path in root.rglob("*") if path.is_file()
    }
    install = CLIENTS[client].format(python=ABIS[abi])
    check = "import steady; assert steady.twice(21) == 42"
    script = f'set -e\n{install}\nPYTHONPATH=/tmp/site {ABIS[abi]} -c "{check}"\n'
    task = Task(image=image, command=["sh", "-c", script], files=files, limits=Limits(timeout_s=120))
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert ended.exit_code == 0, (tmp_path / "log").read_text()


def test_wheels_of_either_distribution_are_imported_on_the_other(images: Workshop):
    if tag_of(images, "image:verify-ubuntu-24.04") is None:
        pytest.skip("the base ubuntu-24.04 could not be had: its archive does not answer")
    for judgement in images.verdicts()["steady"]["abis"].values():
        assert [wheel["base"] for wheel in judgement["wheels"]] == ["debian-12", "ubuntu-24.04"]
        assert judgement["loaded_on"] == ["debian-12", "debian-13", "ubuntu-24.04"]
        assert judgement["verdict"] in {"compatible", "unproven"}
