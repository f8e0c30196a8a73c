"""Which distributions are installed in a folder, and which files each of them brought."""

import csv
import re
from importlib.metadata import Distribution, PackagePath, PathDistribution
from pathlib import Path


def find_distribution(site: str, requirement: str) -> Distribution | None:
    """Return the distribution that was installed for a requirement; None where there is not exactly one of that name.

    Args:
        site: the folder that it is installed in.
        requirement: `NAME==VERSION`, or the name alone.
    """
    wanted = _normalize(requirement.partition("==")[0])
    found = [distribution for name, distribution in list_distributions(site) if name == wanted]
    return found[0] if len(found) == 1 else None


def list_distributions(site: str) -> list[tuple[str, Distribution]]:
    """Return (canonical name, distribution) of what was installed into a folder, sorted.

    Folders such as `foo.egg-info`, which any wheel may bring, are none that was installed.
    """
    installed: list[tuple[str, Distribution]] = []
    for folder in sorted(Path(site).glob("*.dist-info")):
        name, _, _ = folder.name.removesuffix(".dist-info").rpartition("-")
        installed.append((_normalize(name), PathDistribution(folder)))

    return installed


def list_files(distribution: Distribution) -> list[PackagePath]:
    """Return the files of a distribution by its RECORD, but for what names no file; none where that is unreadable."""
    try:
        files = distribution.files or []
    except (ValueError, KeyError, csv.Error):  # a package may write what it likes
        return []

    return [file for file in files if file.parts]


def _normalize(name: str) -> str:
    """Return a name in its canonical form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
