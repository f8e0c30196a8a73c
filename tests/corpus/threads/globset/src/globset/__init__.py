"""Many file name patterns at once."""

from globset._match import Patterns

__all__ = ["Patterns", "filter"]


def filter(names, patterns):
    """Those names that match one of the patterns."""
    compiled = Patterns(patterns)
    return [name for name in names if name in compiled]
