"""Host settings: what pip, apt and the environment of this machine say, as containers get it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.host import settings as host
from builder.host.settings import IndexSettings

FIRST = "https://first.invalid/simple"
SECOND = "https://second.invalid/simple"


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which pip is configured by one file alone; the file."""
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nowhere"))

    host.index_settings.cache_clear()
    yield file
    host.index_settings.cache_clear()


def ask_pip(key: str) -> str:
    """Return what pip says by its public command."""
    command = [sys.executable, "-m", "pip", "config", "get", key]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


# --- pip ----------------------------------------------------------------------------------------------------------------


def test_the_index_is_the_one_pip_has(configured: Path):
    configured.write_text(f"[global]\nindex-url = {FIRST}\n")

    assert ask_pip("global.index-url") == FIRST
    assert host.index_settings().url == f"{FIRST}/"


def test_the_section_of_the_command_counts_more_than_the_global_one(configured: Path):
    configured.write_text(f"[global]\nindex-url = {FIRST}\n[download]\nindex-url = {SECOND}\n")

    assert ask_pip("download.index-url") == SECOND
    assert host.index_settings().url == f"{SECOND}/"


def test_the_environment_counts_more_than_files(configured: Path, monkeypatch: pytest.MonkeyPatch):
    configured.write_text(f"[download]\nindex-url = {FIRST}\n")
    monkeypatch.setenv("PIP_INDEX_URL", SECOND)

    assert ask_pip(":env:.index-url") == SECOND
    assert host.index_settings().url == f"{SECOND}/"


def test_the_users_new_file_counts_more_than_the_old_one(
    configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    # By its name it comes before the old one: `pip config list` shows it first.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "-new"))
    for folder, url in ((".pip", FIRST), ("-new/pip", SECOND)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").write_text(f"[global]\nindex-url = {url}\n")

    assert ask_pip("global.index-url") == SECOND
    assert host.index_settings().url == f"{SECOND}/"


def test_what_only_this_machine_has_is_left_out_and_named(configured: Path):
    configured.write_text(
        f"[global]\nindex-url = {FIRST}\nextra-index-url = file:///opt/index\n    {SECOND}\n"
        "find-links = /opt/wheels\ntrusted-host = second.invalid\n"
    )

    settings = host.index_settings()
    assert settings.urls == (f"{FIRST}/", SECOND)
    assert settings.left_out == ("file:///opt/index", "/opt/wheels")
    assert settings.trusted_hosts == ("second.invalid",)


def test_credentials_stay_on_this_machine():
    settings = IndexSettings(
        url="https://user:secret@first.invalid/simple/",
        extra_urls=("https://user:secret@second.invalid/simple/",),
        trusted_hosts=("second.invalid",),
    )

    environment = settings.environment()
    assert "secret" not in str(environment)
    assert environment["PIP_INDEX_URL"] == f"{FIRST}/"
    assert environment["UV_INDEX"] == f"{SECOND}/"
    assert environment["UV_INSECURE_HOST"] == "second.invalid"


# --- the rest -----------------------------------------------------------------------------------------------------------


def test_a_proxy_is_passed_on_in_both_spellings(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")

    proxy = "http://proxy.invalid:3128"
    assert host.proxy_variables() == {"https_proxy": proxy, "HTTPS_PROXY": proxy}


def test_the_first_ca_bundle_that_is_there_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    host.ca_bundle.cache_clear()
    bundle = tmp_path / "own.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("PIP_CERT", str(bundle))

    try:
        assert host.ca_bundle() == bundle
    finally:
        host.ca_bundle.cache_clear()


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (
            "http://main.invalid bookworm Debian\nhttp://security.invalid bookworm-security Debian\n",
            host.AptArchive(main="http://main.invalid", security="http://security.invalid"),
        ),
        (
            "http://other.invalid stable Docker\nhttp://mirror.invalid bookworm $(ORIGIN)\n",
            host.AptArchive(main="http://mirror.invalid", security="http://mirror.invalid"),
        ),
        ("http://security.invalid bookworm-security Debian\n", None),
        ("", None),
    ],
)
def test_the_archive_is_the_one_apt_has(
    monkeypatch: pytest.MonkeyPatch, listing: str, expected: host.AptArchive | None
):
    monkeypatch.setattr(host, "host_distribution", lambda: "debian")
    monkeypatch.setattr(host, "_list_apt_indexes", lambda: listing)

    assert host.host_archive("debian") == expected
    assert host.host_archive("ubuntu") is None
