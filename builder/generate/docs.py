"""What is made from the code's own tables: findings.md and the JSON Schemas in docs/, and builder/verdicts/codes.py.

Usage: python -m builder.generate.docs FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from builder import ROOT
from builder.judge import codes
from builder.report.documents.alert import AlertDocument
from builder.report.documents.commands import DOCUMENTS
from builder.report.documents.part import make_schema
from builder.report.documents.verdicts_json import Document

if TYPE_CHECKING:
    from builder.judge.codes import Code

_FAMILIES = {
    "1": "Sources",
    "2": "Build",
    "3": "ABI: what the wheel is",
    "4": "Load: what happens when it is imported",
    "5": "GIL and interpreters",
    "6": "Threads",
    "7": "Applications",
    "9": "The farm itself",
}

_FINDINGS_HEAD = """# Findings

Every code that wheelfarm reports, made from `builder/judge/codes.toml` by `make docs`. An **error** that names a
verdict forces it; a warning or info does not keep a wheel from working. WF601 to WF605 are warnings and force
`distinct` where they take an object or an argument that threads share ([threads](threads.md)).
In commands, WHEEL is the wheel, FILE a native
file of it (`unzip WHEEL`), LOG the job's log that the report names.

| code | severity | finding |
|---|---|---|
"""
_TYPE_HEAD = '''"""The codes of findings, made from builder/judge/codes.toml by `make docs`: mypy refuses any other."""

from __future__ import annotations

from typing import Literal, TypeAlias

FindingCode: TypeAlias = Literal[
'''


def render_files() -> dict[str, str]:
    """Return the text of each document in docs/, by file name."""
    return {
        "findings.md": render_findings(),
        "verdicts.schema.json": make_schema(Document),
        "alert.schema.json": make_schema(AlertDocument),
        **_render_schemas(),
    }


def _render_schemas() -> dict[str, str]:
    """Return the schema of what each command prints with `--json`, by file name; `run` prints verdicts.json."""
    return {
        f"{command}.schema.json": make_schema(model)
        for command, model in DOCUMENTS.items()
        if model is not Document
    }


def render_findings() -> str:
    """Return docs/findings.md: a table of all codes of findings, then a section for each code.

    The sections are grouped by family under a heading, such as "Build" for the codes that begin with WF2. Rows, and the
    codes of a family, have the order of `codes.toml`; a family comes where its first code is.
    """
    table_rows: list[str] = []
    sections_by_family: dict[str, list[str]] = {}
    for code in codes.load().values():
        link = f"[{code.code}](#{code.code.lower()})"
        table_rows.append(f"| {link} | {code.severity} | {code.title} |\n")
        sections_by_family.setdefault(_family(code), []).append(_render_section(code))

    parts = [_FINDINGS_HEAD, *table_rows]
    for family, sections in sections_by_family.items():
        parts.append(f"\n## {_FAMILIES[family]}\n")
        parts += sections

    return "".join(parts)


def _family(code: Code) -> str:
    """Return the digit of a code's family, the first of its number: `WF302 -> 3`."""
    return code.code.removeprefix("WF")[0]


def _render_section(code: Code) -> str:
    """Return the section about one code: its meaning, why it matters, how to confirm it, and what to do."""
    title = code.title[0].upper() + code.title[1:]
    forces = f" Forces `{code.verdict}`." if code.verdict else ""

    return f"""
### {code.code}

**{title}** ({code.severity}).{forces}

{code.meaning}

- *Why it matters*: {code.matters}
- *Confirm by hand*: {code.confirm}
- *What to do*: {code.remedy}
"""


def render_finding_codes() -> str:
    """Return the source of verdicts/codes.py: a `Literal` type of all codes, each with its title as a comment."""
    lines = [f'    "{code.code}",  # {code.title}\n' for code in codes.load().values()]

    return _TYPE_HEAD + "".join(lines) + "]\n"


def main() -> None:
    """Write the documents into the folder that the command line names, and finding_codes.py into the package."""
    folder = Path(sys.argv[1])
    for name, text in render_files().items():
        (folder / name).write_text(text)

    (ROOT / "verdicts/codes.py").write_text(render_finding_codes())


if __name__ == "__main__":
    main()
