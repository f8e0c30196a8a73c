"""A badge per package and ABI: a small SVG for a README."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from builder.report.site.site import slug
from builder.store.files import replace_text
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from builder.report.document import Document

_COLOURS = {
    Verdict.COMPATIBLE: "#1a7f37",
    Verdict.UNPROVEN: "#3f6b57",
    Verdict.GIL_REQUIRED: "#8a5a00",
    Verdict.UNDETERMINED: "#6e40a8",
}
_FAULT = "#b3261e"
_WIDTH_PX = 6.6
"""Of a letter: the text is fitted to it, whatever font there is."""


def write(document: Document, folder: Path) -> None:
    """Write the badges; those of what is gone are removed."""
    wanted: set[Path] = set()
    for package in document.packages:
        for abi, part in package.abis.items():
            path = folder / f"{slug(package.name)}-{slug(abi)}.svg"
            replace_text(path, render(f"{package.name} {abi}", Verdict(part.verdict)))
            wanted.add(path)
    for path in folder.glob("*.svg"):
        if path not in wanted:
            path.unlink()


def render(label: str, verdict: Verdict) -> str:
    """Return a badge's SVG."""
    left, right = (round(len(text) * _WIDTH_PX) + 12 for text in (label, verdict.value))
    colour = _COLOURS.get(verdict, _FAULT)
    title = escape(f"{label}: {verdict.value}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="6" y="14" textLength="{left - 12}">{escape(label)}</text>'
        f'<text x="{left + 6}" y="14" textLength="{right - 12}">{verdict.value}</text></g></svg>\n'
    )
