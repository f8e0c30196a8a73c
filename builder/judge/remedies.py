"""What a build missed and which packages have it -> the line to write into matrix.toml. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.judge.apt_contents import MissingDependency, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.store.evidence import Evidence


def suggest_remedy(
    package: str, hint: str, base: str, system: Mapping[str, tuple[str, ...]], looked_up: Mapping[str, Evidence]
) -> str:  # fmt: skip
    """Say what helps a build that missed something.

    Args:
        package: its name.
        hint: what to do where nothing could be looked up.
        base: where the build failed.
        system: system packages the matrix has for it now, by base it is built on.
        looked_up: evidence of the remedy jobs, by base.

    Returns:
        The line to add to matrix.toml and why, or the hint.
    """
    answer = looked_up.get(base)
    if answer is None:
        return hint
    if not answer.is_determined:
        return f"{hint} ({answer.reason})" if hint else ""
    found, unknown = answer.facts["found"], answer.facts["unknown"]
    parts = []
    if found:
        line = render_apt_line(
            {
                name: (*system.get(name, ()), *_found_packages(looked_up.get(name)))
                for name in {**system, base: ()}
            }
        )
        has = "; ".join(f"{item['packages'][0][0]} has {item['packages'][0][1]}" for item in found)
        parts.append(f"set {line} in [packages.{package}] ({has})")
    if unknown:
        names = ", ".join(
            describe(MissingDependency(kind=kind, name=name)) for kind, name in unknown
        )
        parts.append(
            f"no package of {base} has {names}: the sdist may lack it, or make it in an earlier step; see the log"
        )
    return "; ".join(parts) or hint


def _found_packages(looked_up: Evidence | None) -> tuple[str, ...]:
    if looked_up is None or not looked_up.is_determined:
        return ()
    return tuple(item["packages"][0][0] for item in looked_up.facts["found"])


def render_apt_line(wanted: Mapping[str, tuple[str, ...]]) -> str:
    """Return the `apt` line of matrix.toml that installs these packages: one list, or a table where bases differ.

    Args:
        wanted: system packages by base.
    """
    lists = {base: json.dumps(sorted(set(packages))) for base, packages in wanted.items()}
    if len(set(lists.values())) == 1:
        return f"apt = {next(iter(lists.values()))}"
    rows = ", ".join(
        f'"{base}" = {packages}' for base, packages in sorted(lists.items()) if packages != "[]"
    )
    return f"apt = {{ {rows} }}"
