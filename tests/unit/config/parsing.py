"""Reads matrices from text."""

import tomllib
from pathlib import Path

import pytest

from builder.config import matrix
from builder.errors import MatrixError


def parse(text: str) -> matrix.Matrix:
    return matrix.parse(tomllib.loads(text), Path("somewhere/matrix.toml"))


def mistakes(text: str) -> dict[str, str]:
    with pytest.raises(MatrixError) as caught:
        parse(text)
    return dict(caught.value.mistakes)
