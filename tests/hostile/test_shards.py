"""Wheelhouses of shards: each attack is merged with two honest shards, into what these were merged into before."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import MergeError
from tests.hostile.attack import ENDED_WELL, Attack, Site, World, describe_neighbours
from tests.hostile.attacks.shards import ATTACKS, PACKAGE_ATTACKS, SUBJECT, shard_folder
from tests.hostile.attacks.sources import sdist
from tests.hostile.conftest import check_with_neighbours, marked
from tests.hostile.server import serving
from tests.hostile.world import NEIGHBOURS, make_site, make_world, run_offline, watch, write_matrix

SHARDS = 3

ENDED_WELL_OR_REFUSED = ENDED_WELL | {int(MergeError.exit_code)}


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, World]]:
    """Make three honest shards, merge them, and return where they are and what came of it."""
    with serving() as index:
        site = make_site(SUBJECT, tmp_path_factory.mktemp("shards") / "site", index)
        matrix = write_matrix(site, {SUBJECT: sdist()(site)})
        for number in range(1, SHARDS + 1):
            world = run_offline(site, matrix, 60, "--shard", f"{number}/{SHARDS}")
            assert world.exit_code == 0, world.output.decode()
            world.wheelhouse.rename(site.folder / f"shard-{number}")

        merged = merge(site, 60)
        assert merged.exit_code == 0, merged.output.decode()
        yield site, merged


def merge(site: Site, seconds: float) -> World:
    """Merge the shards in a site's folder into its wheelhouse `merged`."""
    shards = [str(path) for path in sorted(site.folder.glob("shard-*"))]
    wheelhouse = site.folder / "merged"
    command = [
        sys.executable, "-P", "-m", "builder", "merge", *shards,
        "--matrix", str(site.folder / "matrix.toml"), "--wheelhouse", str(wheelhouse),
    ]  # fmt: skip
    return make_world(site, wheelhouse, watch(command, site, seconds))


@pytest.mark.parametrize("attack", marked(ATTACKS))
def test_it_is_contained(
    attack: Attack, honest: tuple[Site, World], folder: Path, request: pytest.FixtureRequest
):
    honest_site, honest_world = honest
    shutil.copytree(honest_site.folder, folder, symlinks=True)
    site = Site(name=SUBJECT, folder=folder, host=folder / "host", index=honest_site.index)
    attack.make(site)
    world = merge(site, attack.seconds)

    undisturbed = describe_neighbours(honest_world, NEIGHBOURS)
    check_with_neighbours(request, attack, world, undisturbed, ENDED_WELL_OR_REFUSED)


@pytest.mark.parametrize("attack", marked(PACKAGE_ATTACKS))
def test_a_package_keeps_no_other_from_being_merged(
    attack: Attack, honest: tuple[Site, World], folder: Path, request: pytest.FixtureRequest
):
    honest_site, honest_world = honest
    shutil.copytree(honest_site.folder, folder, symlinks=True)
    site = Site(name=SUBJECT, folder=folder, host=folder / "host", index=honest_site.index)
    attack.make(site)
    own_shard = shard_folder(site)
    number = own_shard.name.removeprefix("shard-")
    shutil.rmtree(own_shard)

    shard = run_offline(site, folder / "matrix.toml", 60, "--shard", f"{number}/{SHARDS}")
    assert shard.exit_code in ENDED_WELL, shard.output.decode()
    shard.wheelhouse.rename(own_shard)
    world = merge(site, attack.seconds)

    undisturbed = describe_neighbours(honest_world, NEIGHBOURS)
    check_with_neighbours(request, attack, world, undisturbed)
