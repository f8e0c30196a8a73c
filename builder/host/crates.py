"""Where cargo on this machine takes crates from, as the index proxy passes it on to builds.

As with pip (settings.py), what works on the host works inside: cargo's own configuration is read, and a variable of the
farm's counts more. No registry is named here. Where none is configured there is none: cargo's own default is known to
cargo alone.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY_VARIABLE = "WHEELFARM_CARGO_REGISTRY"
"""Environment variable with the address of a sparse registry (The Cargo Book, "Registry Index")."""

TOKEN_VARIABLE = "WHEELFARM_CARGO_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with what that registry wants in `Authorization`; empty for nothing."""

_SPARSE = "sparse+"
_DEFAULT_SOURCE = "crates-io"
"""What cargo calls the source of every crate that names no other."""

_MAX_REPLACEMENTS = 10  # of a source by another; cargo refuses circles


@dataclass(frozen=True, kw_only=True, slots=True)
class CrateRegistry:
    """A registry of crates that speaks cargo's sparse protocol.

    Attributes:
        url: of its index, with a slash at the end and without `sparse+`.
        token: what it wants in `Authorization`; empty for nothing.
    """

    url: str
    token: str = ""


def find_crate_registry() -> CrateRegistry | None:
    """Return the registry that crates come from; None where none is configured, or none that speaks HTTP.

    `WHEELFARM_CARGO_REGISTRY=sparse+https://crates.invalid/index/`, or in cargo's own configuration what takes the
    place of its default: `[source.crates-io] replace-with`. A registry in git, and a folder, are none for the farm.
    """
    stated = os.environ.get(REGISTRY_VARIABLE, "").strip()
    if stated:
        url = _read_url(stated)
        return CrateRegistry(url=url, token=os.environ.get(TOKEN_VARIABLE, "")) if url else None

    settings = _read_settings("config.toml") or _read_settings("config")
    name = _DEFAULT_SOURCE
    for _ in range(_MAX_REPLACEMENTS):
        source = _table(settings, "source", name)
        if "replace-with" not in source:
            break
        name = str(source["replace-with"])

    url = _read_url(_find_index(settings, name), needs_prefix=True)
    return CrateRegistry(url=url, token=_find_token(settings, name)) if url else None


def _find_index(settings: Mapping[str, Any], name: str) -> str:
    """Return the index of a source, or of the registry that has this name; empty where it is neither."""
    registry = _table(settings, "source", name).get("registry")
    variable = os.environ.get(f"CARGO_REGISTRIES_{_variable_part(name)}_INDEX")
    index = _table(settings, "registries", name).get("index")

    return str(registry or variable or index or "")


def _find_token(settings: Mapping[str, Any], name: str) -> str:
    """Return the token that cargo has for a registry; empty where it has none."""
    variable = os.environ.get(f"CARGO_REGISTRIES_{_variable_part(name)}_TOKEN")
    credentials = _read_settings("credentials.toml") or _read_settings("credentials")
    stored = _table(credentials, "registries", name).get("token")
    stated = _table(settings, "registries", name).get("token")

    return str(variable or stored or stated or "")


def _variable_part(name: str) -> str:
    """Return how cargo writes the name of a registry in a variable: `my-registry` -> `MY_REGISTRY`."""
    return name.upper().replace("-", "_")


def _read_url(text: str, *, needs_prefix: bool = False) -> str:
    """Return the URL of an index, with a slash at its end; empty where it is none that is asked by HTTP.

    Args:
        text: as it is configured.
        needs_prefix: whether a URL without `sparse+` means a repository of git, as cargo has it.
    """
    is_sparse = text.startswith(_SPARSE)
    if needs_prefix and not is_sparse:
        return ""

    url = text.removeprefix(_SPARSE).rstrip("/") + "/"
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return ""
    return url if is_http else ""


def _read_settings(filename: str) -> dict[str, Any]:
    """Return what a file of cargo's home says; empty where there is none, or where cargo could not read it either."""
    home = os.environ.get("CARGO_HOME") or Path.home() / ".cargo"
    try:
        return tomllib.loads(Path(home, filename).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _table(settings: Mapping[str, Any], group: str, name: str) -> Mapping[str, Any]:
    """Return the table `[GROUP.NAME]`; empty where there is none."""
    tables = settings.get(group, {})
    table = tables.get(name, {}) if isinstance(tables, dict) else {}
    return table if isinstance(table, dict) else {}
