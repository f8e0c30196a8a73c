"""What to build: sdists from the index or local files, hash-checked, and what they need at run time."""

from builder.sources.model import Fault, Pure, Source, Sources
from builder.sources.resolve import read_patches, resolve

__all__ = ["Fault", "Pure", "Source", "Sources", "read_patches", "resolve"]
