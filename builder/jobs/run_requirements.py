"""What must be installed with a package to import it, as the jobs that install its wheels ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.jobs.job import run_requirement
from builder.jobs.wheels import required_wheels, wheel_for_abi
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from builder.jobs.job import Inputs
    from builder.sources import Pure


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequirements:
    """What one package needs to be imported, on one base.

    Attributes:
        native: packages of the farm; their wheels are those that were built on the same base.
        pure: wheels without native code.
        system: system packages that all these wheels need, sorted.
        first: names of packages that are imported before it.
    """

    native: tuple[str, ...] = ()
    pure: tuple[Pure, ...] = ()
    system: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the builds that made the wheels: the package's own first."""
        return ("build", *map(run_requirement, self.native))

    def needs(self, name: str, base: str) -> dict[str, JobId]:
        """Return the builds that made the wheels, by role.

        Args:
            name: the package.
            base: the base that they were built on.
        """
        builds = (JobId(JobKind.BUILD, package, base) for package in (name, *self.native))
        return dict(zip(self.roles, builds, strict=True))

    def settings(self) -> dict[str, object]:
        """Return what can change a job's result besides its inputs, by names that a person understands."""
        settings: dict[str, object] = {"pure wheels": [wheel.sha256 for wheel in self.pure]}
        # Only where it is so: the keys of all other jobs were made before there was such a thing.
        if self.first:
            settings["imported first"] = self.first

        return settings

    def find_missing(self, abi: str, inputs: Inputs) -> tuple[str, ...]:
        """Return the native packages that have no wheel for an ABI."""
        return tuple(
            name for name in self.native if not wheel_for_abi(inputs[run_requirement(name)], abi)
        )

    def list_wheels(self, abi: str, inputs: Inputs) -> list[tuple[str, str]]:
        """Return (filename, sha256) of the wheels to install, the package's own among them.

        Args:
            abi: the ABI. A package without a wheel for it is left out.
            inputs: of the job; those named by `roles` are read.
        """
        builds = [inputs[role] for role in self.roles]
        return list(required_wheels(abi, builds, self.pure))


NO_REQUIREMENTS = RunRequirements()
"""Of a package that nothing else must be installed with."""
