"""Which registry of crates this machine has, by cargo's own configuration and a variable of the farm's."""

from pathlib import Path

import pytest

from builder.host import crates as cargo
from builder.host.crates import CrateRegistry

URL = "https://crates.invalid/index/"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where cargo is configured by the files of one folder alone; the folder."""
    for name in (cargo.REGISTRY_VARIABLE, cargo.TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path))
    return tmp_path


def test_nothing_configured_is_no_registry(home: Path):
    assert cargo.find_crate_registry() is None


@pytest.mark.parametrize("text", [f"sparse+{URL}", URL, URL.rstrip("/"), f"  {URL} "])
def test_the_variable_counts_more_than_cargos_own_files(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    (home / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "x"\n[source.x]\nregistry = "sparse+https://x.invalid/"\n'
    )
    monkeypatch.setenv(cargo.REGISTRY_VARIABLE, text)
    monkeypatch.setenv(cargo.TOKEN_VARIABLE, "known")
    assert cargo.find_crate_registry() == CrateRegistry(url=URL, token="known")


@pytest.mark.parametrize(
    "tables",
    [
        f'[source.crates-io]\nregistry = "sparse+{URL}"\n',
        f'[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "sparse+{URL}"\n',
        f'[source.crates-io]\nreplace-with = "mirror"\n[registries.mirror]\nindex = "sparse+{URL}"\n',
        f'[source]\ncrates-io = {{ replace-with = "one" }}\none = {{ replace-with = "two" }}\ntwo = {{ registry = "sparse+{URL}" }}\n',
    ],
)
@pytest.mark.parametrize("filename", ["config.toml", "config"])
def test_what_takes_the_place_of_cargos_default_is_the_registry(
    home: Path, tables: str, filename: str
):
    (home / filename).write_text(tables)
    assert cargo.find_crate_registry() == CrateRegistry(url=URL)


def test_a_registry_and_its_token_may_be_variables_or_in_the_credentials(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    (home / "config.toml").write_text('[source.crates-io]\nreplace-with = "our-own"\n')
    monkeypatch.setenv("CARGO_REGISTRIES_OUR_OWN_INDEX", f"sparse+{URL}")
    (home / "credentials.toml").write_text('[registries.our-own]\ntoken = "stored"\n')
    assert cargo.find_crate_registry() == CrateRegistry(url=URL, token="stored")

    monkeypatch.setenv("CARGO_REGISTRIES_OUR_OWN_TOKEN", "stated")
    assert cargo.find_crate_registry() == CrateRegistry(url=URL, token="stated")


@pytest.mark.parametrize(
    "tables",
    [
        '[source.crates-io]\nreplace-with = "x"\n[source.x]\ndirectory = "/srv/crates"\n',
        '[source.crates-io]\nreplace-with = "x"\n[source.x]\nregistry = "https://git.invalid/index"\n',
        '[source.crates-io]\nreplace-with = "x"\n[source.x]\nreplace-with = "crates-io"\n',
        '[source.crates-io]\nreplace-with = "x"\n[source.x]\nregistry = "sparse+file:///srv/"\n',
        "[source]\ncrates-io = 3\n",
        "source = 3\n",
        "no TOML",
    ],
)
def test_what_is_not_asked_by_http_is_none(home: Path, tables: str):
    (home / "config.toml").write_text(tables)
    assert cargo.find_crate_registry() is None
