"""Files that state what a project depends on: one module per format, one model for all of them."""

from builder.dependencies.files.model import (
    Dependency,
    DependencyFile,
    Selection,
    SkippedDependency,
)
from builder.dependencies.files.reading import find_file, read

__all__ = ["Dependency", "DependencyFile", "Selection", "SkippedDependency", "find_file", "read"]
