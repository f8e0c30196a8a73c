"""What of the farm's volumes goes, with an engine that is made up: a real one cannot be given volumes of chosen sizes."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from builder.engine import cleanup

LABEL = "wheelfarm.compiler-cache=farm"


class Volume:
    def __init__(self, name: str, *, wanted: bool = True, used: bool = False) -> None:
        self.name = name
        self.attrs = {"Labels": {"wanted": str(wanted)}}
        self.used = used
        self.removed = False

    def remove(self) -> None:
        if self.used:
            raise APIError("volume is in use")
        self.removed = True


def engine(volumes: list[Volume], sizes: dict[str, int]) -> Any:
    described = [{"Name": name, "UsageData": {"Size": size}} for name, size in sizes.items()]

    def find(filters: dict[str, str]) -> list[Volume]:
        assert filters == {"label": LABEL}
        return volumes

    return SimpleNamespace(
        volumes=SimpleNamespace(list=find), df=lambda: {"Volumes": described or None}
    )


def remove(volumes: list[Volume], sizes: dict[str, int], limit_bytes: int | None) -> set[str]:
    """Return the names of the volumes that went."""
    count = cleanup.remove_volumes(
        engine(volumes, sizes), LABEL, lambda labels: labels["wanted"] == "True", limit_bytes
    )
    gone = {volume.name for volume in volumes if volume.removed}
    assert count == len(gone)
    return gone


def test_what_nobody_wants_goes_and_the_rest_stays():
    volumes = [Volume("old", wanted=False), Volume("new")]
    assert remove(volumes, {}, None) == {"old"}


@pytest.mark.parametrize(
    ("limit_bytes", "gone"),
    [(60, set()), (59, {"large"}), (29, {"large", "middle"}), (0, {"large", "middle", "small"})],
)
def test_the_largest_go_until_the_rest_fits(limit_bytes: int, gone: set[str]):
    volumes = [Volume("large"), Volume("small"), Volume("middle")]
    assert remove(volumes, {"small": 10, "middle": 20, "large": 30}, limit_bytes) == gone


def test_a_volume_of_unknown_size_counts_for_nothing():
    volumes = [Volume("unknown"), Volume("new")]
    assert remove(volumes, {"unknown": -1}, 0) == set()


def test_a_volume_that_a_build_uses_stays():
    volumes = [Volume("used", wanted=False, used=True), Volume("old", wanted=False)]
    assert remove(volumes, {}, None) == {"old"}
