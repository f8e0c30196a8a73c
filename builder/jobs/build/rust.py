"""What builds with Rust get beside the base's own: crates from a registry, and a toolchain where the base's is too old.

Builds and the race detector's compilations get the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import ROOT
from builder.jobs.programs import programs_digest
from builder.proxy.crates import CARGO_CONFIGURATION

if TYPE_CHECKING:
    from pathlib import Path

TOOLCHAIN_PROGRAM = ROOT / "inside" / "rust" / "toolchain.py"
"""The program that fetches and unpacks a toolchain; it needs nothing but Python's standard library."""

_CARGO_FILE = "cargo.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class RustSupplies:
    """What one build gets.

    Attributes:
        has_crates: whether cargo is told of the registry of crates that the index proxy passes on.
        toolchain: the release of Rust to fetch, `1.90.0`; empty for that of the base.
        program_folders: folders of the image with the base's own Rust, where programs usually are not.
    """

    has_crates: bool = False
    toolchain: str = ""
    program_folders: tuple[str, ...] = ()

    def settings(self) -> dict[str, object]:
        """Return what can change the result, by names that a person understands; nothing where it gets nothing."""
        settings: dict[str, object] = {}
        if self.program_folders:
            settings["folders of programs"] = self.program_folders
        if self.has_crates:
            settings["crates"] = CARGO_CONFIGURATION
        if self.toolchain:
            settings["Rust"] = (self.toolchain, programs_digest("rust"))
        return settings

    def files(self) -> dict[str, bytes | Path]:
        """Return the files that `commands` names, by name."""
        files: dict[str, bytes | Path] = {}
        if self.has_crates:
            files[_CARGO_FILE] = CARGO_CONFIGURATION.encode()
        if self.toolchain:
            files[TOOLCHAIN_PROGRAM.name] = TOOLCHAIN_PROGRAM
        return files

    def commands(
        self, inputs: str, python: str, folder: str, cargo_folder: str = "/.cargo"
    ) -> list[str]:
        """Return the commands that put all of it in place, before anything of the package runs.

        Args:
            inputs: folder of the container with `files`.
            python: the interpreter that runs the program.
            folder: where the toolchain goes; it does not exist yet.
            cargo_folder: where cargo's configuration goes: in a folder above the project (builder/proxy/crates.py).
        """
        commands: list[str] = []
        if self.has_crates:
            commands += [
                f"mkdir -p {cargo_folder}",
                f"cp {inputs}/{_CARGO_FILE} {cargo_folder}/config.toml",
            ]
        if self.toolchain:
            program = f"{inputs}/{TOOLCHAIN_PROGRAM.name}"
            commands.append(f"{python} -I -S {program} {self.toolchain} {folder}")
        return commands

    def search_folders(self, folder: str) -> tuple[str, ...]:
        """Return where programs are looked for before the usual folders: the toolchain's, then the base's own.

        Args:
            folder: where the toolchain is. It is empty where no server has the release.
        """
        toolchain_folders = (f"{folder}/bin",) if self.toolchain else ()
        return (*toolchain_folders, *self.program_folders)
