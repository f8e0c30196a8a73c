"""Documents made from the code's own tables: docs/findings.md, docs/verdicts.schema.json and docs/check.schema.json.

Usage: python -m builder.generate.docs FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from builder.judge.findings import CODES
from builder.report import check_document, document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.findings import Code

_FAMILIES = {
    "1": "Sources",
    "2": "Build",
    "3": "ABI: what the wheel is",
    "4": "Load: what happens when it is imported",
    "5": "GIL and interpreters",
    "6": "Threads",
    "9": "The farm itself",
}
_HEAD = """# Findings

Every code that wheelfarm reports, made from `builder/judge/findings.py` by `make docs`. An **error** that names a
verdict forces it; a warning or info does not keep a wheel from working. In commands, WHEEL is the wheel, FILE a native
file of it (`unzip WHEEL`), LOG the job's log that the report names.
"""


def render_files() -> dict[str, str]:
    """Return each document's text by file name."""
    return {
        "findings.md": render_findings(),
        "verdicts.schema.json": document.schema(),
        "check.schema.json": check_document.schema(),
    }


def render_findings() -> str:
    """Return the reference of all codes, as Markdown."""
    return (
        "\n".join(
            (
                _HEAD,
                *_render_index(),
                "",
                *(line for code in CODES.values() for line in _render_section(code)),
            )
        ).rstrip()
        + "\n"
    )


def _render_index() -> Iterator[str]:
    yield "| code | severity | finding |"
    yield "|---|---|---|"
    for code in CODES.values():
        yield f"| [{code.code}](#{code.code.lower()}) | {code.severity} | {code.title} |"


def _render_section(code: Code) -> Iterator[str]:
    first = next(one for one in CODES if one[2] == code.code[2])
    if first == code.code:
        yield f"## {_FAMILIES[code.code[2]]}\n"
    yield f"### {code.code}\n"
    forces = f" Forces `{code.verdict}`." if code.verdict else ""
    yield f"**{code.title[0].upper()}{code.title[1:]}** ({code.severity}).{forces}\n"
    yield f"{code.meaning}\n"
    yield f"- *Why it matters*: {code.matters}"
    yield f"- *Confirm by hand*: {code.confirm}"
    yield f"- *What to do*: {code.remedy}\n"


def main() -> None:
    """Write every document into a folder."""
    folder = Path(sys.argv[1])
    for name, text in render_files().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
