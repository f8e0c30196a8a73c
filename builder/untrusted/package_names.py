"""Names of packages in the matrix: a project's, or a project's with one version where it has several of them.

`numpy` and `numpy==2.3.4` are two packages of one project. The name is what tells packages apart in a plan, in
documents and in paths of logs; an index and a wheel know the project alone.
"""

from __future__ import annotations

import re
from typing import Annotated, NewType

from pydantic import AfterValidator

from builder.untrusted.names import parse_project_name, parse_version

PackageName = NewType("PackageName", str)
"""A normalized name of a package: `zope-interface` or `zope-interface==8.0`."""

_PIN = "=="


def parse_package_name(text: object, where: str = "") -> PackageName:
    """Return the normalized name of a package: `Zope.Interface == 8.0` -> `zope-interface==8.0` (PEP 440, 503).

    Args:
        text: what came from outside.
        where: the file or field that it was in, for the message.

    Raises:
        UntrustedNameError: its project is no name, or its version is none.
    """
    if not isinstance(text, str) or _PIN not in text:
        return PackageName(parse_project_name(text, where))

    project, _, version = text.partition(_PIN)
    return pin_package(
        parse_project_name(project.strip(), where), str(parse_version(version, where))
    )


def pin_package(project: str, version: str) -> PackageName:
    """Return the name of the package that is one version of a project."""
    return PackageName(f"{project}{_PIN}{version}")


def project_of(name: str) -> str:
    """Return the project that a package is of: `numpy==2.3.4` -> `numpy`."""
    return name.partition(_PIN)[0]


def version_of(name: str) -> str:
    """Return the version that the name of a package states: `numpy==2.3.4` -> `2.3.4`; empty where it states none."""
    return name.partition(_PIN)[2]


def table_key(name: str) -> str:
    """Return a package's key below `packages` as TOML writes it: `numpy`, `"numpy==2.3.4"`."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


PackageNameField = Annotated[PackageName, AfterValidator(parse_package_name)]
"""The name of a package as a field of a pydantic model; what the model has is normalized."""
