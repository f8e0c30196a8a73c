"""Base images from the distribution's archive: what mmdebstrap is asked for, and what is made of its end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from builder.config import catalog
from builder.engine import provision
from builder.errors import EngineMissingError, InfrastructureError, Interrupted
from builder.host import settings as host
from builder.jobs.images import bootstrap

BASE = catalog.load().bases["debian-12"]


def distribution(tmp_path: Path, **change: str | None) -> catalog.Distribution:
    """Return the distribution of the base, its keyring a file that exists."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    found = catalog.load().distributions[BASE.distribution]
    return found.model_copy(update={"keyring": str(keyring), **change})


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program on the path that writes down how it was called, and then does what `behave` says."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    behave = tmp_path / "behave"
    behave.write_text("exit 0\n")
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/called\n. {behave}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(host, "host_archive", lambda _: None)
    return behave


def make_root(tmp_path: Path, stop: threading.Event | None = None, **change: str | None) -> None:
    bootstrap.make_root(
        BASE,
        distribution(tmp_path, **change),
        tmp_path / "root.tar",
        log=tmp_path / "log",
        stop=stop or threading.Event(),
        say=lambda _: None,
    )


def called(tmp_path: Path) -> list[str]:
    return (tmp_path / "called").read_text().splitlines()


def test_the_suite_is_made_with_the_distributions_keyring(mmdebstrap: Path, tmp_path: Path):
    make_root(tmp_path)
    *options, suite, target = called(tmp_path)
    assert (suite, target) == (BASE.suite, str(tmp_path / "root.tar"))
    assert f"--keyring={tmp_path / 'keyring.gpg'}" in options
    assert "--include=ca-certificates" in options
    assert "--dpkgopt=path-exclude=/usr/share/man/*" in options


def test_the_hosts_own_mirror_is_asked_for_updates_as_well(
    mmdebstrap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = host.AptArchive(main="http://main.invalid/", security="http://security.invalid/")
    monkeypatch.setattr(host, "host_archive", lambda _: archive)
    make_root(tmp_path, security="security")
    lines = [line for line in called(tmp_path) if line.startswith("deb ")]
    components = " ".join(distribution(tmp_path).components)
    assert lines[0] == f"deb http://main.invalid/ {BASE.suite} {components}"
    assert lines[-1] == f"deb http://security.invalid/ {BASE.suite}-security {components}"
    assert len(lines) == 2 + len(distribution(tmp_path).pockets)


def test_a_keyring_that_is_nowhere_is_named_with_its_package(mmdebstrap: Path, tmp_path: Path):
    missing = str(tmp_path / "missing.gpg")
    with pytest.raises(InfrastructureError, match=r"missing\.gpg is missing; install the package"):
        make_root(tmp_path, keyring=missing, keyring_suite=None)


def test_a_keyring_is_taken_from_the_archive_that_packages_it(mmdebstrap: Path, tmp_path: Path):
    # What is called first is asked for the keyring, what is called last for the base.
    mmdebstrap.write_text(f'printf "%s\\n" "$@" >> {tmp_path}/all\n')
    make_root(tmp_path, keyring="/usr/none/missing.gpg", keyring_suite="trixie")
    every = (tmp_path / "all").read_text().splitlines()
    assert every[0] == "--variant=extract"
    assert every[2] == "trixie"
    (keyring,) = [line for line in called(tmp_path) if line.startswith("--keyring=")]
    assert keyring.endswith("/keyring/usr/none/missing.gpg")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("echo 'I: trying'; echo 'E: no such suite'; echo more; exit 25", "E: no such suite"),
        ("echo 'the last line'; exit 1", "the last line"),
        ("exit 1", "no output"),
    ],
)
def test_what_went_wrong_is_the_first_error(
    mmdebstrap: Path, tmp_path: Path, behaviour: str, reason: str
):
    mmdebstrap.write_text(behaviour)
    with pytest.raises(InfrastructureError, match=f"the archive did not give .*: {reason}$"):
        make_root(tmp_path)


def test_it_ends_when_the_farm_is_asked_to_stop(mmdebstrap: Path, tmp_path: Path):
    mmdebstrap.write_text("exec sleep 60")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        make_root(tmp_path, stop)


def test_an_archive_that_never_answers_is_given_up(
    mmdebstrap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mmdebstrap.write_text("exec sleep 60")
    monkeypatch.setattr(bootstrap, "_TIMEOUT_S", 0.1)
    with pytest.raises(InfrastructureError, match="did not end within"):
        make_root(tmp_path)


def test_without_mmdebstrap_and_without_a_way_to_install_it_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(packages: object, purpose: str, say: object) -> None:
        raise EngineMissingError([("apt-get", "not root")], "run apt-get yourself")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(provision, "install_packages", refuse)
    with pytest.raises(InfrastructureError, match="mmdebstrap is not installed"):
        make_root(tmp_path)
