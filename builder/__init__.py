"""wheelfarm: native wheels for CPython 3.14 and 3.14t, each with a verdict anyone can replay."""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).parent
"""The folder of this package: programs of `inside/`, templates and installed tables are found from here."""
