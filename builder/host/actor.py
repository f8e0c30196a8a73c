"""Who works with the farm: the user of the system, or whoever started the job of a CI system."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CI_VARIABLES = (
    ("GITHUB_ACTIONS", "GITHUB_ACTOR"),
    ("GITLAB_CI", "GITLAB_USER_LOGIN"),
)
"""Of each CI system: the variable that says that it runs the job, and the one with who started it, as it documents."""


def find_actor(environment: Mapping[str, str] = os.environ) -> str:
    """Return who works with the farm, by name; the number of a user that has none.

    Args:
        environment: variables of the process.
    """
    for system, actor in _CI_VARIABLES:
        if environment.get(system) == "true" and environment.get(actor):
            return environment[actor]

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
