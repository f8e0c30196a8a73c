"""What a build is told: files, settings that count in its key, and cibuildwheel's configuration."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from builder.jobs.build.recipe import Recipe
from builder.jobs.build.rust import RustSupplies
from builder.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as store:
        yield store


def make_recipe(store: Store, **more: Any) -> Recipe:
    sdist = store.wheelhouse / "foo-1.0.tar.gz"
    sdist.write_bytes(b"an sdist")
    return Recipe(
        **{
            "name": "foo",
            "version": "1.0",
            "base": "debian-12",
            "sdist_filename": sdist.name,
            "sdist_sha256": store.add_file(sdist),
            "abis": ("cp314", "cp314t"),
            "environment": {},
            "config_settings": {},
            "skip": {},
            "timeout_s": 60,
            "memory_bytes": 4 << 30,
            **more,
        }
    )


def cibuildwheel(recipe: Recipe, cpus: float = 1.0) -> dict[str, Any]:
    config = recipe.make_config(("cp314",), "image", ["--memory=1"], cpus=cpus)
    settings: dict[str, Any] = config["tool"]["cibuildwheel"]
    return settings


def test_constraints_and_libraries_left_out_reach_the_build_and_its_key(
    store: Store, tmp_path: Path
):
    plain = make_recipe(store)
    recipe = make_recipe(
        store, constraints=("setuptools<82",), exclude=("libodbc.so.*", "libpq.so.5")
    )
    assert {"build constraints", "libraries left out"}.isdisjoint(plain.settings())
    assert {"build constraints", "libraries left out"} <= set(recipe.settings())

    config = cibuildwheel(recipe)
    environment = config["overrides"][0]["environment"]
    assert environment["UV_BUILD_CONSTRAINT"].endswith("/own-wheels/cp314.txt")
    repair = config["repair-wheel-command"]
    assert "auditwheel repair --exclude 'libodbc.so.*' --exclude libpq.so.5 -w" in repair

    project = tmp_path / "project"
    recipe.write_inputs(project, {}, store)
    constraints = project / "wheelfarm/own-wheels/cp314t.txt"
    assert constraints.read_text() == "setuptools<82\n"


@pytest.mark.parametrize("has_crates", [True, False])
def test_cargo_is_told_of_the_registry_where_there_is_one(
    store: Store, tmp_path: Path, *, has_crates: bool
):
    recipe = make_recipe(store, rust=RustSupplies(has_crates=has_crates))
    recipe.write_inputs(tmp_path / "project", {}, store)
    told = tmp_path / "project" / "wheelfarm" / "cargo.toml"
    assert told.exists() is has_crates

    command = "cp /opt/wheelfarm/inputs/cargo.toml /.cargo/config.toml"
    assert (command in cibuildwheel(recipe)["before-all"]) is has_crates
    assert ("crates" in recipe.settings()) is has_crates
    if has_crates:
        source = tomllib.loads(told.read_text())["source"]
        assert source["crates-io"] == {"replace-with": "wheelfarm"}


def test_a_toolchain_is_fetched_before_the_build_and_comes_first_on_the_path(
    store: Store, tmp_path: Path
):
    rust = RustSupplies(toolchain="1.98.0", program_folders=("/usr/lib/rust/bin",))
    recipe = make_recipe(store, rust=rust)
    recipe.write_inputs(tmp_path / "project", {}, store)
    assert (tmp_path / "project/wheelfarm/toolchain.py").exists()

    config = cibuildwheel(recipe)
    command = "/opt/wheelfarm/inputs/toolchain.py 1.98.0 /opt/wheelfarm/rust"
    assert command in config["before-all"]
    path = config["environment"]["PATH"]
    assert path.startswith("/opt/wheelfarm/rust/bin:/usr/lib/rust/bin:")
    version, _ = cast("tuple[str, str]", recipe.settings()["Rust"])
    assert version == "1.98.0"


@pytest.mark.parametrize(
    ("cpus", "memory_bytes", "compilers"),
    [(1.0, 4 << 30, "2"), (3.0, 4 << 30, "3"), (8.0, 4 << 30, "4"), (8.0, 1 << 20, "1")],
)
def test_as_many_compilers_run_as_there_are_cpus_and_memory_for(
    store: Store, cpus: float, memory_bytes: int, compilers: str
):
    environment = cibuildwheel(make_recipe(store, memory_bytes=memory_bytes), cpus)["environment"]
    for name in ("MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "CARGO_BUILD_JOBS"):
        assert environment[name] == compilers


def test_the_matrix_counts_more_than_what_the_farm_tells_every_build(store: Store):
    recipe = make_recipe(
        store,
        environment={"MAX_JOBS": "1"},
        rust=RustSupplies(program_folders=("/usr/lib/rust/bin",)),
    )
    environment = cibuildwheel(recipe)["environment"]
    assert environment["MAX_JOBS"] == "1"
    assert environment["PATH"].startswith("/usr/lib/rust/bin:")


def test_abis_that_the_matrix_leaves_out_are_not_selected(store: Store):
    recipe = make_recipe(store, skip={"cp314t": "not yet"})
    assert recipe.selected_abis == ("cp314",)
    assert recipe.settings()["ABIs"] == ("cp314",)


def test_the_flags_of_the_interpreter_ask_for_no_debug_information(store: Store, tmp_path: Path):
    """The command runs, on an interpreter's file as CPython writes it."""
    library = tmp_path / "cp314-cp314" / "lib" / "python3.14"
    library.mkdir(parents=True)
    flags = "-fno-strict-overflow -Wsign-compare -DNDEBUG -g -O3 -Wall"
    data = library / "_sysconfigdata__linux_x86_64-linux-gnu.py"
    data.write_text(f"build_time_vars = {{'CFLAGS': '{flags} -ggdb3', 'OPT': '-DNDEBUG -g -O3'}}\n")

    recipe = make_recipe(store)
    commands = cibuildwheel(recipe)["before-all"].split("; ")
    (command,) = [command for command in commands if "_sysconfigdata" in command]
    subprocess.run(["sh", "-c", command.replace("/opt/python", str(tmp_path))], check=True)

    variables: dict[str, dict[str, str]] = {}
    exec(data.read_text(), variables)
    assert variables["build_time_vars"] == {
        "CFLAGS": "-fno-strict-overflow -Wsign-compare -DNDEBUG -O3 -Wall -ggdb3",
        "OPT": "-DNDEBUG -O3",
    }
    assert "debug information" in recipe.settings()
