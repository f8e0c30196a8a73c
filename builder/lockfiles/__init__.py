"""Files that state what a project depends on: one module per format, one model for all of them."""

from builder.lockfiles.model import Dependency, DependencyFile, LeftOut, Selection
from builder.lockfiles.reading import read

__all__ = ["Dependency", "DependencyFile", "LeftOut", "Selection", "read"]
