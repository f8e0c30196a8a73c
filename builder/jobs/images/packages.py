"""A builder with system packages of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.errors import InfrastructureError
from builder.evidence.image import ImageFacts, read_image_tag
from builder.jobs.images.ids import packages_image_id, role_image_id
from builder.jobs.images.image import BuiltImage, read_recipe
from builder.jobs.job import Result
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.job_ids import JobId

# What apt says of a name that the base's archive does not have.
_UNKNOWN_PACKAGE = re.compile(r"E: (?:Unable to locate package|Package '?)\s*([a-z0-9+.-]+)")

_CONFLICT = re.compile(r"^ +([a-z0-9][a-z0-9+.:-]*) : (Conflicts: [^\n]{1,200})$", re.MULTILINE)
"""What apt says of packages that exclude one another, one on a line. What it says of versions that do not fit together
is not looked for: a mirror that is being updated causes that, too."""
_MAX_CONFLICTS = 3  # one explains the others, more often than not


@dataclass(frozen=True, kw_only=True)
class PackagesImage(BuiltImage):
    """An image of a role plus system packages. Packages that ask for the same ones share the image.

    Attributes:
        base: the base's name.
        packages: names of the system packages.
        role: `builder`, `verify`, `measure` or `race`.
    """

    base: str
    packages: tuple[str, ...]
    role: str = "builder"

    recipe: ClassVar[str] = "packages"

    @cached_property
    def id(self) -> JobId:
        return packages_image_id(self.base, self.packages, self.role)

    @property
    def title(self) -> str:
        return f"the {self.role} image of {self.base} with system packages"

    @property
    def repository(self) -> str:
        # The `+` of its id may not be in the name of a repository.
        return role_image_id(self.role, self.base).name

    @cached_property
    def needs(self) -> Needs:
        return {"builder": role_image_id(self.role, self.base)}

    def settings(self) -> Mapping[str, object]:
        return {"recipe": read_recipe("packages.Dockerfile"), "apt list": self.packages}

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        return {
            "BUILDER": read_image_tag(inputs["builder"]),
            "PACKAGES": " ".join(self.packages),
        }

    def explain_failure(self, error: str, tools: Tools) -> Result:
        """Return the system packages that the base's archive does not have, or that exclude one another.

        Raises:
            InfrastructureError: there are none in the log, so that something else failed, such as the archive.
        """
        log = tools.log.read_text(errors="replace")
        missing = _UNKNOWN_PACKAGE.findall(log)
        conflicts = [f"{name}: {clean_line(text)}" for name, text in _CONFLICT.findall(log)]

        if conflicts and not missing:
            conflict = "; ".join(conflicts[:_MAX_CONFLICTS])
            return Result(facts=ImageFacts(conflict=conflict, content="none"))
        if not missing:
            raise InfrastructureError(
                f"system packages could not be installed on {self.base}: {error} (log: {tools.log})"
            )
        missing = sorted(set(missing))
        return Result(facts=ImageFacts(missing=tuple(missing), content="none"))
