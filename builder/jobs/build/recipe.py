"""What a build is told: its settings, the files that it is made of, and the configuration of cibuildwheel.

All of it is chosen here, before anything runs; build.py is the job that runs it.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import ROOT
from builder.distributions.reproducible import SOURCE_DATE_EPOCH
from builder.engine import compiler_cache
from builder.engine.tasks import Limits
from builder.jobs.build import cpu_options
from builder.jobs.build.own_wheels import (
    collect_own_wheels,
    constraints_path,
    to_container_paths,
)
from builder.jobs.build.rust import RustSupplies
from builder.jobs.job import build_requirement
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.jobs.job import Inputs
    from builder.sources import UpstreamWheel
    from builder.store.store import Store

_INPUTS = "wheelfarm"
"""The folder, in what is copied into the container, with all that the build is made from."""
_INPUTS_IN_CONTAINER = "/opt/wheelfarm/inputs"
"""Where it is moved: out of the project's folder, because the build backend might pack what is in there."""
_PROJECT_IN_CONTAINER = "/project"  # cibuildwheel's own
_PYTHON_IN_CONTAINER = "/opt/python/cp39-cp39/bin/python"  # what cibuildwheel itself uses there

UNPACK_PROGRAM = ROOT / "inside" / "stress" / "package" / "sdists.py"
"""The program that unpacks sdists, in containers; it needs nothing but Python's standard library."""
_TOOLCHAIN_FOLDER = "/opt/wheelfarm/rust"
"""Where a Rust toolchain goes that is not the base's."""
_SYSCONFIG_DATA = "/opt/python/*/lib/python3*/_sysconfigdata_*.py"
"""Where `sysconfig`, and setuptools with it, reads the flags that an interpreter was built with."""
_LEAVE_DEBUG_INFORMATION_OUT = f"sed -i 's/ -g / /g' {_SYSCONFIG_DATA}"
"""CPython is compiled with `-g`, and by default an extension module gets the flags of its interpreter. Nothing reads
what that adds, and it takes up to a third of the compiler's time (decision 0034). What a package or the matrix asks for
comes after these flags, or in their place."""
_SAY_PATCH_FAILED = '{ echo "wheelfarm: patch $patch does not apply"; exit 1; }'
_REPAIR = (
    cpu_options.SHOW_COMMAND
    + """
log=/opt/wheelfarm/repair.log
if auditwheel repair{options} -w {dest_dir} {wheel} > $log 2>&1
then cat $log
elif grep -q "couldn't detect libc" $log
then auditwheel repair --plat manylinux_2_5_x86_64{options} -w {dest_dir} {wheel}
else cat $log >&2; exit 1
fi
"""
)
"""An extension module that needs nothing of the C library need not name it, and then auditwheel cannot tell which it
is, unless it is asked for a tag. Any is right: without a symbol of the C library there is none that is too new."""

_PLACEHOLDER = "pyproject.toml"
"""cibuildwheel starts nothing in a folder without such a file. This one is empty, and removed in the container."""

_PARALLELISM_VARIABLES = (
    "MAX_JOBS",  # setup.py files of PyTorch and what follows its example
    "CMAKE_BUILD_PARALLEL_LEVEL",  # `cmake --build` (CMake's documentation, environment variables)
    "CARGO_BUILD_JOBS",  # cargo (The Cargo Book, environment variables)
    "NPY_NUM_BUILD_JOBS",  # numpy's own build, before it was one of Meson
)
_COMPILER_MEMORY_BYTES = 1 << 30
"""What a C++ compiler may need of a large source; not measured."""


@cache
def _cibuildwheel_version() -> str:
    # Cached, because the keys of ten thousand builds are made with it.
    return version("cibuildwheel")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the build of one package on one base is made of, and told.

    Attributes:
        sdist_sha256: hash of the sdist; the store has the file.
        packages: system packages to install for the build.
        rust: what it gets for Rust.
        patches: content of each patch, in the order in which they are applied.
        constraints: which releases of build requirements may be taken (PEP 508).
        exclude: shared libraries that are not grafted into the wheels.
        skip: the ABIs that the matrix leaves out, each with its reason.
        requires: names of packages of the farm that it is built with; their wheels are those for the same base.
        is_pure: whether its sdist has nothing native, so that a wheel for every Python is taken. From any other sdist
            that is a build that lost its native part without a word.
        pure: upstream's wheels without native code, for ABIs that are not built.
        lacking: ABIs that are not built either, for which upstream has no such wheel, each with what it has instead.
        upstream: upstream's wheels, which stand in where the build makes none.
        build_tag: what the wheels' names get after the version (PEP 427); empty for nothing.
    """

    name: str
    version: str
    base: str
    sdist_filename: str
    sdist_sha256: str
    abis: tuple[str, ...]
    packages: tuple[str, ...] = ()
    rust: RustSupplies = field(default_factory=RustSupplies)
    environment: Mapping[str, str]
    config_settings: Mapping[str, tuple[str, ...]]
    constraints: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    skip: Mapping[str, str]
    timeout_s: int
    memory_bytes: int
    requires: tuple[str, ...] = ()
    is_pure: bool = False
    pure: tuple[UpstreamWheel, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    upstream: tuple[UpstreamWheel, ...] = ()
    build_tag: str = ""

    def settings(self) -> Mapping[str, object]:
        """Return what can change the result besides the inputs, by names that a person understands."""
        settings: dict[str, object] = {
            "sdist": (project_of(self.name), self.version, self.sdist_filename, self.sdist_sha256),
            "patches": self.patches,
            "flags": (self.environment, self.config_settings),
            "apt list": self.packages,
            "limits": (self.timeout_s, self.memory_bytes),
            "ABIs": self.selected_abis,
            "cibuildwheel": _cibuildwheel_version(),
            "compiler cache": compiler_cache.SETTINGS,
            "time of every file": SOURCE_DATE_EPOCH,
            "debug information": "none by default",
        }
        # Only where it is so: the keys of all other builds were made before there was such a thing.
        if self.constraints:
            settings["build constraints"] = self.constraints
        settings |= self.rust.settings()
        if self.exclude:
            settings["libraries left out"] = self.exclude
        if self.is_pure:
            settings["pure"] = "the wheel alone"
        # Only where they are asked for: builds that are on record were made without.
        if self.upstream:
            settings["upstream's wheels"] = [asdict(wheel) for wheel in self.upstream]
        if self.pure or self.lacking:
            pure = [asdict(wheel) for wheel in self.pure]
            settings["upstream's wheels without native code"] = (pure, self.lacking)
        if self.build_tag:
            settings["build tag"] = self.build_tag
        return settings

    @property
    def selected_abis(self) -> tuple[str, ...]:
        """The ABIs to build for: all but those that the matrix leaves out, or has a wheel without native code for."""
        not_built = {*self.skip, *dict(self.lacking), *(wheel.abi for wheel in self.pure)}
        return tuple(abi for abi in self.abis if abi not in not_built)

    @property
    def requirement_roles(self) -> tuple[str, ...]:
        """The roles of the builds whose wheels it is built with."""
        return tuple(map(build_requirement, self.requires))

    def write_inputs(self, project: Path, inputs: Inputs, store: Store) -> None:
        """Make the folder that cibuildwheel copies into the container.

        The sdist is in it as it is, with the program that unpacks it there: of what a package brings, nothing is
        unpacked on this machine.

        Args:
            project: the folder to make.
            inputs: of the job.
            store: has the sdist and the wheels.
        """
        files: dict[str, bytes | Path] = {
            UNPACK_PROGRAM.name: UNPACK_PROGRAM,
            self._sdist_name: store.file(self.sdist_sha256),
        }
        for number, patch in enumerate(self.patches):
            files[f"patches/{number:03}.patch"] = patch.encode()

        files |= self.rust.files()

        builds = [inputs[role] for role in self.requirement_roles]
        own_wheels = collect_own_wheels(builds, self.selected_abis, store, self.constraints)
        for path, content in to_container_paths(own_wheels).items():
            files[path.removeprefix(f"{_INPUTS_IN_CONTAINER}/")] = content

        for path, content in files.items():
            target = project / _INPUTS / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_bytes(content)
        (project / _PLACEHOLDER).touch()

    @property
    def _sdist_name(self) -> str:
        """What the sdist is called in the container: of its own name, only the kind of archive is kept."""
        return "sdist.zip" if self.sdist_filename.endswith(".zip") else "sdist.tar"

    def _preparation(self) -> str:
        """Return the commands that put the project in place, before anything of the package runs in the container."""
        sdist = f"{_INPUTS_IN_CONTAINER}/{self._sdist_name}"
        program = f"{_INPUTS_IN_CONTAINER}/{UNPACK_PROGRAM.name}"
        commands = [
            "set -eu",
            _LEAVE_DEBUG_INFORMATION_OUT,
            f"rm {_PLACEHOLDER}",
            f"mv {_INPUTS} {_INPUTS_IN_CONTAINER}",
            f"{_PYTHON_IN_CONTAINER} -I -S {program} {sdist} {_PROJECT_IN_CONTAINER}",
        ]
        commands += self.rust.commands(
            _INPUTS_IN_CONTAINER, _PYTHON_IN_CONTAINER, _TOOLCHAIN_FOLDER
        )
        if self.patches:
            commands += [
                f"for patch in {_INPUTS_IN_CONTAINER}/patches/*",
                'do patch -p1 --batch --forward -i "$patch" || ' + _SAY_PATCH_FAILED,
                "done",
            ]

        return "; ".join(commands)

    def _parallelism(self, cpus: float) -> dict[str, str]:
        """Return variables that tell a build how many compilers to run beside one another.

        Left alone, tools count the CPUs of the machine, of which the container has a part. No result depends on it, so
        it counts in no key.
        """
        by_memory = self.memory_bytes // _COMPILER_MEMORY_BYTES
        compilers = max(1, min(int(max(cpus, Limits().cpus)), by_memory))
        return dict.fromkeys(_PARALLELISM_VARIABLES, str(compilers))

    def _repair_command(self) -> str:
        """Return the command that makes a manylinux wheel of what the build backend made."""
        options = "".join(f" --exclude {shlex.quote(library)}" for library in self.exclude)
        return _REPAIR.replace("{options}", options)

    def make_config(
        self, abis: Sequence[str], image: str, create_arguments: Sequence[str], *, cpus: float = 1.0
    ) -> dict[str, Any]:
        """Return cibuildwheel's whole configuration, as the data of a TOML file. The project's own is not read.

        Args:
            abis: the ABIs to build.
            image: full name of the image to build in.
            create_arguments: arguments of `docker create` for the build's container: its limits and its network.
            cpus: how many CPUs the scheduler gives the build.
        """
        config: dict[str, Any] = {
            "build": [f"{abi}-manylinux_x86_64" for abi in abis],
            "build-frontend": "uv",
            "build-verbosity": 1,
            "manylinux-x86_64-image": image,
            "container-engine": {
                "name": "docker",
                "create-args": list(create_arguments),
                "disable-host-mount": True,
            },
            "environment": {
                "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
                "UV_PYTHON_DOWNLOADS": "never",
                "CCACHE_LOGFILE": cpu_options.LOG_IN_CONTAINER,
                "PATH": ":".join(
                    (*self.rust.search_folders(_TOOLCHAIN_FOLDER), compiler_cache.PATH)
                ),
                **self._parallelism(cpus),
                **self.environment,
            },
            "repair-wheel-command": self._repair_command(),
            "before-all": self._preparation(),
            "audit-command": "",
            "test-command": "",
        }

        if self.config_settings:
            settings: dict[str, Any] = {}
            for name, values in self.config_settings.items():
                settings[name] = list(values) if len(values) > 1 else values[0]
            config["config-settings"] = settings

        if self.requires or self.constraints:
            config["overrides"] = [_constrain(abi) for abi in abis]

        return {"tool": {"cibuildwheel": config}}


def _constrain(abi: str) -> dict[str, Any]:
    """Return an override of cibuildwheel's configuration: constraints of an ABI's build, with the farm's own wheels."""
    return {
        "select": f"{abi}-*",
        "inherit": {"environment": "append"},
        "environment": {"UV_BUILD_CONSTRAINT": constraints_path(abi)},
    }
