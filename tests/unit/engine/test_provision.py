"""How an engine that the farm starts is set up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from builder.engine import connection, provision
from builder.errors import EngineMissingError


class Daemon:
    """A dockerd that ends at once, or goes on."""

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends

    def wait(self, timeout_s: float) -> int:
        if not self._ends:
            raise subprocess.TimeoutExpired("dockerd", timeout_s)
        return 1


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "etc/daemon.json"
    monkeypatch.setattr(provision, "_DAEMON_SETTINGS", path)
    return path


def test_an_engine_starts_with_user_namespaces_and_room_for_many_networks(settings: Path):
    assert not settings.exists()
    assert provision._list_options() == [
        "--no-new-privileges",
        "--userns-remap=default",
        "--default-address-pool=base=172.16.0.0/12,size=28",
        "--default-address-pool=base=192.168.0.0/16,size=28",
    ]


def test_what_the_file_says_is_not_said_again(settings: Path):
    settings.parent.mkdir()
    settings.write_text(json.dumps({"userns-remap": "somebody", "default-address-pools": []}))
    assert provision._list_options() == ["--no-new-privileges"]
    before = settings.read_text()
    provision._write_settings()
    assert settings.read_text() == before


def test_a_new_file_has_all_settings(settings: Path):
    provision._write_settings()
    assert json.loads(settings.read_text()) == provision.ENGINE_SETTINGS
    assert provision._list_options() == []


@pytest.mark.parametrize("has_user_namespaces", [True, False])
def test_without_user_namespaces_it_starts_all_the_same_and_says_so(
    settings: Path, monkeypatch: pytest.MonkeyPatch, *, has_user_namespaces: bool
):
    started: list[list[str]] = []
    said: list[str] = []

    def run_daemon(options: list[str]) -> Daemon:
        started.append(options)
        remaps = "--userns-remap=default" in options
        return Daemon(ends=remaps and not has_user_namespaces)

    def connect(_: str) -> None:
        raise EngineMissingError([("unix:///none", "no such socket")], "start it")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setattr(connection, "find_docker_command", lambda: "/usr/bin/docker")
    monkeypatch.setattr("builder.host.settings.host_distribution", lambda: "debian")
    monkeypatch.setattr("builder.host.settings.is_root", lambda: True)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/dockerd")
    monkeypatch.setattr(provision, "_has_systemd", lambda: False)
    monkeypatch.setattr(provision, "_run_daemon", run_daemon)
    monkeypatch.setattr(provision, "_wait_for_engine", lambda *_: cast("Any", "an engine"))

    assert cast("Any", provision.ensure_engine(said.append)) == "an engine"
    is_told = any("without" in line for line in said)
    if has_user_namespaces:
        assert (len(started), is_told) == (1, False)
    else:
        assert "--userns-remap=default" not in started[1]
        assert "--no-new-privileges" in started[1]
        assert is_told
