"""A badge per package and ABI: a small SVG for a README."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from builder.report.site.site import slug
from builder.report.styles import verdict_style
from builder.store.files import replace_text

if TYPE_CHECKING:
    from pathlib import Path

    from builder.report.documents.verdicts_json import Document
    from builder.verdicts import Verdict

_LETTER_PX = 6.6
"""Width of a letter, about Verdana's at 11 px; `textLength` fits the text to it, whatever font there is."""

_PADDING_PX = 6
"""Left and right of a text."""


def write(document: Document, folder: Path) -> None:
    """Write a badge for each package and ABI as `PACKAGE-ABI.svg`, and remove badges that no verdict belongs to."""
    current_badges: set[Path] = set()
    for package, abi, part in document.iter_verdicts():
        path = folder / f"{slug(package.name)}-{slug(abi)}.svg"
        replace_text(path, render(f"{package.name} {abi}", part.verdict))
        current_badges.add(path)

    for path in folder.glob("*.svg"):
        if path not in current_badges:
            path.unlink()


def render(label: str, verdict: Verdict) -> str:
    """Return the SVG of a badge: the label, such as `lxml cp314t`, on grey, then the verdict on its colour."""
    label_px = _text_width(label)
    verdict_px = _text_width(verdict.value)
    left = label_px + 2 * _PADDING_PX
    right = verdict_px + 2 * _PADDING_PX
    colour = verdict_style(verdict).badge
    title = escape(f"{label}: {verdict.value}")

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{_PADDING_PX}" y="14" textLength="{label_px}">{escape(label)}</text>'
        f'<text x="{left + _PADDING_PX}" y="14" textLength="{verdict_px}">{verdict.value}</text></g></svg>\n'
    )


def _text_width(text: str) -> int:
    return round(len(text) * _LETTER_PX)
