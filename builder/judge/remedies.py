"""What a build missed and which packages have it -> the line to write into matrix.toml. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.evidence.remedy import RemedyFacts
from builder.judge.apt_contents import MissingDependency, describe
from builder.untrusted.package_names import table_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.store.evidence import Evidence


def suggest_remedy(
    package: str,
    hint: str,
    base: str,
    system: Mapping[str, tuple[str, ...]],
    looked_up: Mapping[str, Evidence],
    *,
    has_alternative: bool = False,
) -> str:
    """Return what to do about a build that missed a header, library or program of the system.

    Args:
        package: its name.
        hint: what to do where nothing could be looked up.
        base: where the build failed.
        system: system packages the matrix has for it now, by base it is built on.
        looked_up: evidence of the remedy jobs, by base.
        has_alternative: whether the hint is another way out, which may lead there as well as a package of the system.

    Returns:
        The line to add to matrix.toml and why, or the hint.
    """
    evidence = looked_up.get(base)
    if evidence is None:
        return hint
    if not evidence.is_determined:
        return f"{hint} ({evidence.reason})" if hint else ""

    facts = RemedyFacts.read(evidence)
    parts: list[str] = []
    if facts.found:
        line = render_apt_line(_wanted_packages(base, system, looked_up))
        parts.append(f"set {line} in [packages.{table_key(package)}] ({_describe_found(facts)})")
    if has_alternative:
        return "; or ".join((*parts, hint))
    if facts.unknown:
        names = [describe(MissingDependency(kind=kind, name=name)) for kind, name in facts.unknown]
        parts.append(
            f"no package of {base} has {', '.join(names)}: "
            "the sdist may lack it, or make it in an earlier step; see the log"
        )

    return "; ".join(parts) or hint


def _wanted_packages(
    base: str, system: Mapping[str, tuple[str, ...]], looked_up: Mapping[str, Evidence]
) -> dict[str, tuple[str, ...]]:
    """Return by base the system packages that the matrix lists already, and after them those that were looked up.

    The bases are those of `system`, and the one whose build failed.
    """
    wanted: dict[str, tuple[str, ...]] = {}
    for name in (*system, base):
        wanted[name] = (*system.get(name, ()), *_found_packages(looked_up.get(name)))

    return wanted


def _found_packages(evidence: Evidence | None) -> list[str]:
    """Return the likeliest package for each missing dependency; empty where nothing was looked up or the job failed."""
    if evidence is None or not evidence.is_determined:
        return []

    return [provision.packages[0][0] for provision in RemedyFacts.read(evidence).found]


def _describe_found(facts: RemedyFacts) -> str:
    likeliest = [provision.packages[0] for provision in facts.found]
    return "; ".join(f"{package} has {path}" for package, path in likeliest)


def render_apt_line(wanted: Mapping[str, tuple[str, ...]]) -> str:
    """Return the `apt` line of matrix.toml that installs system packages.

    One list where all bases need the same, `apt = ["zlib1g-dev"]`; otherwise a table by base, in which bases that need
    nothing are left out.

    Args:
        wanted: system packages by base.
    """
    lists = {base: json.dumps(sorted(set(packages))) for base, packages in wanted.items()}
    if len(set(lists.values())) == 1:
        return f"apt = {next(iter(lists.values()))}"

    rows = [
        f'"{base}" = {packages}' for base, packages in sorted(lists.items()) if packages != "[]"
    ]
    return f"apt = {{ {', '.join(rows)} }}"
