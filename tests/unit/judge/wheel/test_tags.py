import pytest

from builder.config import catalog
from builder.distributions.tags import accepts_wheel, floor_name, glibc_floors, runs_on


@pytest.mark.parametrize(
    ("platform", "floors", "name"),
    [
        ("manylinux_2_17_x86_64.manylinux2014_x86_64", [(2, 17)], "manylinux_2_17"),
        ("manylinux_2_28_x86_64.manylinux_2_17_x86_64", [(2, 17), (2, 28)], "manylinux_2_17"),
        ("manylinux1_x86_64", [(2, 5)], "manylinux_2_5"),
        ("linux_x86_64", [], "linux_x86_64"),
        ("any", [], "any"),
    ],
)
def test_floors(platform: str, floors: list[tuple[int, int]], name: str):
    filename = f"x-1-cp314-cp314-{platform}.whl"
    assert glibc_floors(filename) == floors
    assert floor_name(filename) == name


def test_a_wheel_claims_the_bases_whose_glibc_is_new_enough():
    bases = catalog.load().bases
    newer = "x-1-cp314-cp314-manylinux_2_38_x86_64.whl"
    assert not runs_on(newer, bases["debian-12"])
    assert runs_on(newer, bases["ubuntu-24.04"])
    assert runs_on(newer, bases["debian-13"])
    assert runs_on("x-1-py3-none-any.whl", bases["debian-12"])
    assert not runs_on("x-1-cp314-cp314-manylinux_2_17_aarch64.whl", bases["debian-13"])


def test_abi3_never_serves_a_free_threaded_interpreter():
    stable = "foo-1.0-cp39-abi3-manylinux_2_17_x86_64.whl"
    assert accepts_wheel(stable, "cp314")
    assert not accepts_wheel(stable, "cp314t")
