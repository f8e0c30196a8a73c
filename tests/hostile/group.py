"""One run of the farm, with an engine, on all attacks of a group side by side and an honest package beside them."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.engine.connection import connect
from builder.errors import EngineMissingError
from builder.store.store import Store
from tests.hostile.attack import PASSWORD, Attack, Site, World, describe_neighbours
from tests.hostile.attacks.building import place, project_files
from tests.hostile.server import HostileIndex
from tests.hostile.world import ROOT, make_world, watch_process

HONEST = ("honest",)

_SECONDS = 3600.0
"""Longest that a group may take. Image builds are not part of it: they are made by the run without attacks."""

_OTHER_ABI = {"cp314": "cp314t", "cp314t": "cp314"}

_CREDENTIALS = {
    # A proxy for a scheme that nothing here uses: it changes what is passed on, and not what is reached.
    "ftp_proxy": f"http://farm:{PASSWORD}@proxy.invalid:3128",
    "TWINE_USERNAME": "farm",
    "TWINE_PASSWORD": PASSWORD,
}
"""Settings of the host that have a password."""

_GOOD = {("compatible",), ("unproven",)}

_JOB_TIME = re.compile(
    r"(?:ok|failed|\?)\s+(?:build|race|exercise):(\S+?)@\S+\s+(?:(\d+):)?([\d.]+) ?s?"
)


@dataclass(frozen=True, kw_only=True)
class GroupRun:
    """What is there when the farm has met a group of attacks.

    Attributes:
        worlds: the world of each attack, by name; they share everything but the site.
        undisturbed: what becomes of the honest package without them.
        left: containers, networks and processes that are there afterwards and should not be.
    """

    worlds: Mapping[str, World]
    undisturbed: Mapping[str, object]
    left: Sequence[str]


def selected_attacks(request: pytest.FixtureRequest) -> list[Attack]:
    """Return the attacks of the tests of this module that were selected, so that `-k NAME` runs one alone."""
    attacks: dict[str, Attack] = {}
    for item in request.session.items:
        parameters = getattr(item, "callspec", None)
        if item.fspath == request.node.fspath and parameters and "attack" in parameters.params:
            attack = parameters.params["attack"]
            attacks[attack.name] = attack
    return list(attacks.values())


def run_group(request: pytest.FixtureRequest, folder: Path, abi: str, effort: str) -> GroupRun:
    """Run the farm without attacks, then with those whose tests were selected, and tell what is there afterwards.

    Args:
        request: of the fixture that wants to know.
        folder: an empty one.
        abi: what is built for; one, so that attacks do not meet more neighbours than they have to.
        effort: of the farm, for threads.
    """
    attacks = selected_attacks(request)
    _say(request, f"the honest package alone, in {folder}/undisturbed")
    undisturbed = _run(folder / "undisturbed", (), abi, effort)
    world = undisturbed[""]
    verdicts = world.verdicts_of("honest")
    assert verdicts in _GOOD, world.output.decode(errors="replace")

    _say(request, f"{len(attacks)} attacks beside it, in {folder}/attacked")
    worlds = _run(folder / "attacked", attacks, abi, effort)
    return GroupRun(
        worlds=worlds,
        undisturbed=describe_neighbours(world, HONEST),
        left=_find_left(worlds[""].wheelhouse),
    )


def _say(request: pytest.FixtureRequest, text: str) -> None:
    """Print a line at once: what follows takes minutes."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled():
        print(f"\nhostile: {text}", file=sys.stderr, flush=True)


def _run(folder: Path, attacks: Sequence[Attack], abi: str, effort: str) -> dict[str, World]:
    """Run the farm once; return the world of each attack by name, and that of the whole run under an empty one."""
    folder.mkdir(parents=True)
    # The images are those of every matrix, which has both ABIs; the packages are built for one.
    head = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\n'
    skip = f'skip = {{ {_OTHER_ABI[abi]} = "the group is about {abi}" }}'
    nowhere = HostileIndex()

    names = {"": "honest"} | {attack.name: attack.package for attack in attacks}
    sites: dict[str, Site] = {}
    for key, name in names.items():
        sites[key] = Site(
            name=name, folder=folder, host=folder / "hosts" / name, index=nowhere, abi=abi
        )
        sites[key].make_host()

    tables = [head, f"[packages.honest]\n{place(sites[''], project_files('honest'))}\n{skip}"]
    for attack in attacks:
        site = sites[attack.name]
        tables.append(f'[packages."{attack.package}"]\n{attack.make(site)}\n{skip}')
        for name, make in attack.companions.items():
            tables.append(f'[packages."{name}"]\n{make(replace(site, name=name))}\n{skip}')
    (folder / "matrix.toml").write_text("\n".join(tables) + "\n")

    wheelhouse = folder / "wheelhouse"
    command = [
        sys.executable, "-P", "-m", "builder", "run", "--matrix", str(folder / "matrix.toml"),
        "--wheelhouse", str(wheelhouse), "--effort", effort,
    ]  # fmt: skip
    environment = {**os.environ, **_CREDENTIALS, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    environment.pop("WHEELFARM_EFFORT", None)
    ended = watch_process(command, environment, folder / "output.txt", _SECONDS)

    is_changed = False
    for attack in attacks:
        if attack.later is not None:
            attack.later(sites[attack.name])
            is_changed = True
    if is_changed:
        ended = watch_process(
            command, environment, folder / "output-of-the-second-run.txt", _SECONDS
        )

    whole = make_world(sites[""], wheelhouse, ended)
    times = _read_times(ended.output.decode(errors="replace"))
    worlds = {}
    for name, site in sites.items():
        worlds[name] = replace(whole, site=site, seconds=times.get(site.name, 0.0))
    return worlds


def _read_times(output: str) -> dict[str, float]:
    """Return how long the build of each package took, or its races, from what the farm printed."""
    times: dict[str, float] = {}
    for name, minutes, seconds in _JOB_TIME.findall(output):
        times[name] = times.get(name, 0.0) + int(minutes or 0) * 60 + float(seconds)
    return times


def _find_left(wheelhouse: Path) -> list[str]:
    """Return the containers and networks of a farm, and processes of this machine that its packages left."""
    with Store(wheelhouse) as store:
        farm_id = store.farm_id
    with contextlib.suppress(EngineMissingError):
        engine = connect(farm_id)
        filters: dict[str, str | list[str] | bool] | None = {"label": f"wheelfarm.farm={farm_id}"}
        containers = engine._client.containers.list(all=True, sparse=True, filters=filters)
        networks = engine._client.networks.list(filters=filters)
        engine.remove_compiler_caches(())
        return [f"container {item.id}" for item in containers] + [
            f"network {item.name}" for item in networks
        ]
    return ["an engine that does not answer"]
