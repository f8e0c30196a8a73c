"""Write down that programs of builder/inside/ were changed, and whether their answers can differ for it.

Usage: python -m builder.generate.program_versions (same-answers|new-answers) PACKAGE…

`same-answers` is for a change of layout, names, comments or formatting: keys of jobs stay, and nothing runs again.
`new-answers` is for every other change: keys know the package by its new text from now on.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import tomlkit

from builder.jobs import programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def update(path: Path, packages: Iterable[str], *, same_answers: bool) -> None:
    """Record the present digest of each package's text in the table of program versions.

    Keys of jobs contain `answers_like`. If the answers can differ, it becomes the new digest, so these jobs run again;
    otherwise it stays, and recorded evidence stays valid.

    Args:
        path: the table, a TOML file; its comments stay.
        packages: names of folders in builder/inside/.
        same_answers: whether the programs give the same answers as before the change.
    """
    document = tomlkit.parse(path.read_text())
    for package in packages:
        text = programs.text_digest(package)
        if package not in document:
            document[package] = tomlkit.table()

        document[package]["text"] = text
        if not same_answers:
            document[package]["answers_like"] = text

    path.write_text(tomlkit.dumps(document))


def main(arguments: Sequence[str] | None = None) -> None:
    """Update the table that is checked in, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m builder.generate.program_versions", description=__doc__.splitlines()[0]
    )
    parser.add_argument("answers", choices=("same-answers", "new-answers"))
    parser.add_argument(
        "packages", nargs="+", metavar="PACKAGE", help="a folder of builder/inside/"
    )
    options = parser.parse_args(arguments)

    recorded_versions = programs.program_versions()
    same_answers = options.answers == "same-answers"
    for package in options.packages:
        if same_answers and package not in recorded_versions:
            parser.error(f"{package}: nothing is on record that it could answer like")

    update(programs.VERSIONS, options.packages, same_answers=same_answers)


if __name__ == "__main__":
    main()
