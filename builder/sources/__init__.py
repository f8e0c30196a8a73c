"""What to build or to take: sdists, upstream's wheels, local files, hash-checked, and what they need at run time."""

from builder.sources.model import Fault, Pure, Source, Sources, UpstreamWheel
from builder.sources.patches import read_patches
from builder.sources.resolve import resolve

__all__ = ["Fault", "Pure", "Source", "Sources", "UpstreamWheel", "read_patches", "resolve"]
