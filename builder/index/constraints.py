"""What a channel serves -> a constraints file per ABI: installs exactly what was verified, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from builder.distributions.tags import accepts_wheel
from builder.store.files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from builder.index.manifest import Manifest

FOLDER = "constraints"
"""Its folder under the wheelhouse."""

Remarks = Mapping[str, Mapping[str, str]]
"""What there is to say of a project on an ABI, by ABI and canonical name: why it is missing, or what it costs."""


def write(served: Manifest, abis: Iterable[str], remarks: Remarks, wheelhouse: Path) -> None:
    """Write a file per ABI for what `simple/` holds; those of other ABIs are removed."""
    folder = wheelhouse / FOLDER
    texts = dict(render(served, list(abis), remarks))
    for name, text in texts.items():
        replace_text(folder / name, text)
    for path in folder.glob("*.txt"):
        if path.name not in texts:
            path.unlink()


def rewrite(served: Manifest, quarantine: Manifest, wheelhouse: Path) -> None:
    """Write the files that are there anew, for what the index was returned to; what is yanked says why."""
    abis = sorted(path.stem for path in (wheelhouse / FOLDER).glob("*.txt"))
    remarks = {
        abi: {
            project: entry.yanked
            for project, entries in quarantine.items()
            for entry in entries
            if accepts_wheel(entry.filename, abi)
        }
        for abi in abis
    }
    write(served, abis, remarks, wheelhouse)


def render(served: Manifest, abis: Sequence[str], remarks: Remarks) -> Iterator[tuple[str, str]]:
    """Give each ABI's file as (file name, text).

    Args:
        served: what the index holds.
        abis: interpreters.
        remarks: reasons, for the comments.
    """
    pins = {abi: _pins(served, abi) for abi in abis}
    for abi in abis:
        yield f"{abi}.txt", _render_abi(abi, pins, remarks.get(abi, {}))


def _pins(served: Manifest, abi: str) -> dict[str, list[str]]:
    """Return the versions that an ABI gets of each project, the newest last."""
    pins: dict[str, list[str]] = {}
    for project, entries in served.items():
        versions = {
            parse_wheel_filename(entry.filename)[1]
            for entry in entries
            if accepts_wheel(entry.filename, abi)
        }
        if versions:
            pins[project] = [str(version) for version in sorted(versions)]
    return pins


def _render_abi(
    abi: str, pins: Mapping[str, Mapping[str, list[str]]], remarks: Mapping[str, str]
) -> str:
    own = pins[abi]
    lines = [
        f"# What was verified on {abi}, and nothing else: pip install --constraint {abi}.txt ..."
    ]
    lines += [
        _render_pin(project, versions, remarks.get(project, ""))
        for project, versions in sorted(own.items())
    ]
    elsewhere: dict[str, list[str]] = {}
    for other in pins:
        for project in sorted(pins[other].keys() - own.keys()):
            elsewhere.setdefault(project, []).append(other)
    by_abis: dict[str, list[str]] = {}
    for project, others in elsewhere.items():
        by_abis.setdefault(" or ".join(others), []).append(project)
    for at, projects in sorted(by_abis.items()):
        lines += ["", f"# Must stay on {at}:"]
        lines += [
            _render_missing(project, remarks.get(project, f"there is no wheel for {abi}"))
            for project in projects
        ]
    nowhere = sorted(remarks.keys() - own.keys() - elsewhere.keys())
    if nowhere:
        lines += [
            "",
            "# Not served at all:",
            *(_render_missing(project, remarks[project]) for project in nowhere),
        ]
    return "\n".join(lines) + "\n"


def _render_pin(project: str, versions: Sequence[str], remark: str) -> str:
    if (
        len(versions) > 1
    ):  # pure wheels that several packages need: each of these was installed with one of them
        return f"{project}>={versions[0]},<={versions[-1]}  # served are {', '.join(versions)}"
    return f"{project}=={versions[0]}" + (f"  # {_escape_line(remark)}" if remark else "")


def _render_missing(project: str, why: str) -> str:
    return f"#   {project}: {_escape_line(why)}"


def _escape_line(text: str) -> str:
    """Return text on one line without control characters: the next line would be a requirement."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]+", " ", text).split())
