"""What the farm is configured by: the matrix, and the tables of bases and interpreters."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MATRIX = Path("matrix.toml")
"""The matrix of commands that are not told another one, in the folder where they are started."""

DEFAULT_WHEELHOUSE = Path("wheelhouse")
"""The folder of results of such commands, as well."""
