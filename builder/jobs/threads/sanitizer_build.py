"""Compiles a package with ThreadSanitizer, by the recipe of the build whose wheel is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from builder.distributions.identity import explain_mismatch
from builder.engine.tasks import Limits, Task
from builder.jobs.build.log import explain
from builder.jobs.build.log_excerpt import read_log
from builder.jobs.build.own_wheels import constraints_path, to_container_paths
from builder.jobs.build.recipe import UNPACK_PROGRAM
from builder.untrusted.names import UntrustedNameError, parse_wheel_name
from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.config.catalog import Abi
    from builder.engine.services import NetworkAttachment
    from builder.jobs.build.build import Build
    from builder.jobs.job import Tools
    from builder.store.store import Store

RACE_PYTHON = "/opt/race/tree/bin/python"
"""The interpreter that was compiled with ThreadSanitizer, in images of the role `race`."""

RACE_WHEEL_FOLDER = "/farm/race"
"""The folder of a container with the wheel that was compiled with ThreadSanitizer."""

_WHEEL_FOLDER = "/result/wheel"
_RUST_INPUTS = "/farm/rust"
_CARGO_FOLDER = "/tmp/.cargo"  # noqa: S108 - in the container; cargo keeps crates there as well
_RUST_FOLDER = "/tmp/wheelfarm-rust"  # noqa: S108 - in the container, where the compilation is no root

_MEMORY_BYTES = 4 << 30
"""What compiling may take with what the sanitizer adds, where the build may take less; not measured."""

_SLOWDOWN = 2.0
"""How much longer compiling may take with what the sanitizer adds; not measured."""

_WATCH_HEADER = """\
/* Attributes that keep the sanitizer away from a function become notes, so that nothing of a package is unwatched. */
#define no_sanitize(...) annotate("no_sanitize")
#define __no_sanitize__(...) annotate("no_sanitize")
#define no_sanitize_thread annotate("no_sanitize_thread")
#define __no_sanitize_thread__ annotate("no_sanitize_thread")
#define disable_sanitizer_instrumentation annotate("disable_sanitizer_instrumentation")
#define __disable_sanitizer_instrumentation__ annotate("disable_sanitizer_instrumentation")
"""
"""What is included before every C and C++ source. Clang's `annotate` may stand wherever these attributes may, and
changes no code (Clang's documentation, "Attributes in Clang")."""

_WATCH_HEADER_PATH = "/farm/watch.h"

NAMES_AND_LINES = "-gline-tables-only -fdebug-info-for-profiling"
"""What reports need of clang's debug information, which takes a sixth of the compiler's time as a whole. The second
option is for the full names of C++ functions that are inlined (decision 0034)."""

# A build that gets CFLAGS may leave out those of the interpreter, and -DNDEBUG with them: an assertion would then end
# the process here that is not in the wheel. The compiler keeps symbols and lines: images/keep-symbols.sh.
_COMPILE_SCRIPT = f"""
set -eu
watch="-include {_WATCH_HEADER_PATH} -fsanitize=thread -O1 -DNDEBUG {NAMES_AND_LINES}"
export CC=wheelfarm-clang CXX=wheelfarm-clang++ UV_PYTHON_DOWNLOADS=never SOURCE_DATE_EPOCH=946684800
export CFLAGS="$watch ${{CFLAGS:-}}" CXXFLAGS="$watch ${{CXXFLAGS:-}}"
export LDFLAGS="-fsanitize=thread ${{LDFLAGS:-}}"
mkdir -p /tmp/project /result/wheel
cd /tmp/project
"$1" -I -S /farm/sdists.py "$2" .
for patch in /farm/patches/*.patch; do [ ! -e "$patch" ] || patch -p1 --batch -i "$patch"; done
shift_python=$1
shift 2
exec "$shift_python" -m build --wheel --installer uv -o /result/wheel "$@"
"""

RECIPE = (_COMPILE_SCRIPT, _WATCH_HEADER)
"""What decides, beside the build's own settings, how a package is compiled: for the keys of jobs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledWheel:
    """A wheel that was compiled with ThreadSanitizer."""

    filename: str
    content: bytes

    @property
    def path(self) -> str:
        """Its path in the container that looks for races."""
        return f"{RACE_WHEEL_FOLDER}/{self.filename}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compilation:
    """What came of compiling a package with ThreadSanitizer: a wheel, or the reason why there is none."""

    wheel: CompiledWheel | None = None
    failure: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SanitizerBuild:
    """The build of a package with ThreadSanitizer.

    Attributes:
        build: how the package is built on the base.
        abi: the free-threaded ABI.
        sdist_path: the path of the sdist in the container.
    """

    build: Build
    abi: Abi
    sdist_path: str

    def compile(
        self,
        image: str,
        own_wheels: Mapping[str, bytes | Path],
        index: NetworkAttachment,
        tools: Tools,
    ) -> Compilation:
        """Compile the package in a container.

        Args:
            image: full name of the image to compile in.
            own_wheels: the farm's own wheels that the package is built with, as `collect_own_wheels` returns them.
            index: the container's way to the package index.
            tools: of the job.
        """
        tools.say("compiling with ThreadSanitizer")
        environment = dict(self.build.environment)
        if own_wheels:
            environment["UV_CONSTRAINT"] = constraints_path(self.abi.name)

        script = self._prepare_rust() + _COMPILE_SCRIPT
        arguments = [self.abi.python, self.sdist_path, *self._list_options()]
        task = Task(
            image=image,
            command=["sh", "-c", script, "sh", *arguments],
            files=self._list_files(own_wheels, tools.store),
            collect=_WHEEL_FOLDER,
            network=index,
            environment=environment,
            limits=Limits(
                memory_bytes=max(self.build.memory_bytes, _MEMORY_BYTES),
                timeout_s=_SLOWDOWN * self.build.timeout_s,
            ),
        )
        log_start = tools.log.stat().st_size if tools.log.exists() else 0
        ended = tools.engine.run(task, log=tools.log, stop=tools.stop)

        wheel = _find_wheel(ended.output, self.build)
        if wheel is not None and ended.exit_code == 0:
            return Compilation(wheel=wheel)
        if ended.timed_out:
            return Compilation(failure="it did not end in time")
        return Compilation(failure=self._explain_failure(tools.log, log_start, ended.exit_code))

    def _list_files(
        self, own_wheels: Mapping[str, bytes | Path], store: Store
    ) -> dict[str, bytes | Path]:
        """Return what the container is given, by path: the sdist, its patches, Rust, and the farm's own wheels."""
        files: dict[str, bytes | Path] = {
            self.sdist_path: store.file(self.build.sdist_sha256),
            "/farm/sdists.py": UNPACK_PROGRAM,
            _WATCH_HEADER_PATH: _WATCH_HEADER.encode(),
        }
        for name, file in self.build.rust.files().items():
            files[f"{_RUST_INPUTS}/{name}"] = file
        files |= to_container_paths(own_wheels)
        for number, patch in enumerate(self.build.patches):
            files[f"/farm/patches/{number:03}.patch"] = patch.encode()

        return files

    def _list_options(self) -> list[str]:
        """Return the options of `python -m build` that pass on the build's own settings."""
        options: list[str] = []
        for name, values in self.build.config_settings.items():
            options += [f"-C{name}={value}" for value in values]

        return options

    def _prepare_rust(self) -> str:
        """Return what a shell does beforehand, so that the compilation has the same Rust and crates as the build."""
        rust = self.build.rust
        commands = rust.commands(_RUST_INPUTS, self.abi.python, _RUST_FOLDER, _CARGO_FOLDER)
        if rust.has_crates:
            commands.append(f"export CARGO_HOME={_CARGO_FOLDER}")
        folders = rust.search_folders(_RUST_FOLDER)
        if folders:
            commands.append(f'export PATH="{":".join(folders)}:$PATH"')

        return "".join(f"{command} || exit 1\n" for command in commands)

    def _explain_failure(self, log: Path, start: int, exit_code: int) -> str:
        """Return the first error of a compilation, in one line.

        Args:
            log: the job's log.
            start: the byte of the log at which the output of the compilation begins.
            exit_code: of the compilation.
        """
        failure, _ = explain(
            read_log(log, start),
            exit_code,
            self.build.name,
            (self.abi.name,),
            timeout_s=None,
            memory_bytes=None,
            processes=None,
        )
        return failure.error


def _find_wheel(output: Mapping[str, bytes], build: Build) -> CompiledWheel | None:
    """Return the wheel of the package among the files that a container left, or None.

    Args:
        output: content by path. The package's build could write there what it liked.
        build: says which package it is.
    """
    for path, content in output.items():
        try:
            filename = parse_wheel_name(PurePosixPath(path).name)
        except UntrustedNameError:
            continue
        if not explain_mismatch(project_of(build.name), build.version, filename):
            return CompiledWheel(filename=filename, content=content)

    return None
