"""Images: a registry that changes its mind, and a host whose proxy has a password."""

from __future__ import annotations

import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from builder.engine.client import Engine
from builder.engine.connection import connect
from builder.errors import InfrastructureError
from tests.hostile.attack import PASSWORD
from tests.hostile.registry import Registry, serving

pytestmark = pytest.mark.engine

TAG = "wheelfarm-hostile.invalid/image"
FARM = "hostile-images"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as served:
        yield served


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Give the engine, and remove the images that a test made."""
    opened = connect(FARM)
    yield opened
    for tag in (f"{TAG}:built", f"{TAG}:shell", f"{TAG}:taken"):
        with suppress(ImageNotFound):  # the test did not come so far
            image = opened._client.images.get(tag)
            opened._client.images.remove(str(image.id), force=True)


def test_a_tag_that_moves_is_taken_for_what_it_was_first(registry: Registry, engine: Engine):
    first, second = registry.add_image("the first"), registry.add_image("another")
    registry.tagged = [first, second]
    reference = f"{registry.host}/base:1"
    taken = engine.images.pull(reference, f"{TAG}:taken")
    assert taken == f"{registry.host}/base@{first}"
    digests = engine._client.images.get(f"{TAG}:taken").attrs["RepoDigests"]
    assert f"{registry.host}/base@{first}" in digests
    assert f"{registry.host}/base@{second}" not in digests


def test_content_that_is_not_the_digests_is_not_taken(registry: Registry, engine: Engine):
    first, second = registry.add_image("promised"), registry.add_image("given")
    registry.tagged = [first]
    registry.lies = {first: registry._content[second][0]}
    with pytest.raises(InfrastructureError, match="did not give"):
        engine.images.pull(f"{registry.host}/base:1", f"{TAG}:taken")


def test_a_password_of_a_proxy_is_in_no_history(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("all_proxy", f"http://farm:{PASSWORD}@proxy.invalid:3128")
    monkeypatch.setenv("ftp_proxy", f"http://farm:{PASSWORD}@proxy.invalid:3128")
    engine.images.import_root(_pack_shell(tmp_path), f"{TAG}:shell")

    # The step sees the password, or nothing was tested; it does not keep it.
    dockerfile = f'FROM {TAG}:shell\nRUN test -n "$https_proxy" && test -n "$ftp_proxy"\n'
    printed: list[str] = []
    failure = engine.images.build(
        f"{TAG}:built",
        context={"Dockerfile": dockerfile.encode()},
        arguments={},
        labels={},
        log=printed.append,
        stop=threading.Event(),
    )
    assert failure is None, printed

    built = engine._client.images.get(f"{TAG}:built")
    kept = json.dumps([built.history(), built.attrs])
    assert PASSWORD not in kept
    assert PASSWORD not in "".join(printed)


def _pack_shell(folder: Path) -> Path:
    """Pack this machine's shell, with the libraries that it needs, as a root file system."""
    linked = subprocess.run(["ldd", "/bin/sh"], check=True, capture_output=True, text=True).stdout
    paths = {word for word in linked.split() if word.startswith("/")} | {"/bin/sh"}
    target = folder / "root.tar"
    with tarfile.open(target, "w") as archive:
        for path in sorted(paths):
            archive.add(Path(path).resolve(), path)
    return target
