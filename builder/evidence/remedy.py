"""Facts of a remedy job: which packages of the base's archive have what a build missed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from builder.evidence.base import Facts, Many, Model, Pair


class Provision(Model):
    """Something that a build missed, and the packages that have it."""

    kind: str
    """What it is; judge/apt_contents.py has the kinds."""

    name: str
    """A header's path, a library's or a program's name."""

    packages: Annotated[Many[Pair], Field(min_length=1)]
    """(package, path of the file in it), the likeliest first."""


class RemedyFacts(Facts):
    """What was looked up; both are empty where the build missed nothing."""

    found: Many[Provision]
    """What some package has."""

    unknown: Many[Pair]
    """What no package has, as (kind, name)."""
