import hashlib
from pathlib import Path

import pytest

from builder.config.catalog import Release
from builder.errors import InfrastructureError
from builder.jobs.images import cpython
from tests.unit.local_index import serving

CONTENT = b"an interpreter's source"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    named, default = tmp_path / "named", tmp_path / "cache"
    (tmp_path / "web").mkdir()
    named.mkdir()
    monkeypatch.setenv(cpython.CACHE_VARIABLE, str(named))
    monkeypatch.setenv("XDG_CACHE_HOME", str(default))
    return named, default / "wheelfarm" / "sources"


def release(url: str) -> Release:
    return Release(
        version="3.99.0",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        filename="Python-3.99.0.tar.xz",
        upstream=url + "Python-3.99.0.tar.xz",
        pool="pool/main/p/python3.99/no-such-file.tar.xz",
    )


def test_the_cache_folder_comes_first(folders: tuple[Path, Path]):
    (folders[0] / "Python-3.99.0.tar.xz").write_bytes(CONTENT)
    assert cpython.fetch_source(release("http://127.0.0.1:9/"), lambda _: None).parent == folders[0]


def test_then_the_network_and_the_download_is_kept(folders: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "web" / "Python-3.99.0.tar.xz").write_bytes(CONTENT)
    with serving(tmp_path / "web") as (_, settings):
        found = cpython.fetch_source(release(settings.url), lambda _: None)
    assert found == folders[1] / "Python-3.99.0.tar.xz"
    assert cpython.fetch_source(release("http://127.0.0.1:9/"), lambda _: None) == found


def test_a_wrong_hash_is_refused_wherever_it_comes_from(folders: tuple[Path, Path], tmp_path: Path):
    for folder in (folders[0], tmp_path / "web"):
        (folder / "Python-3.99.0.tar.xz").write_bytes(b"something else")
    with serving(tmp_path / "web") as (_, settings), pytest.raises(InfrastructureError) as caught:
        cpython.fetch_source(release(settings.url), lambda _: None)
    assert str(caught.value).count("is refused: its sha256 is") == 2
    assert not (folders[1] / "Python-3.99.0.tar.xz").exists()
