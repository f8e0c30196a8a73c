"""Keys for sorting and comparing names."""

from foldkey._fold import fold, same

__all__ = ["fold", "same", "sort"]


def sort(names):
    """Names in the order of a telephone book."""
    return sorted(names, key=lambda name: (fold(name), name))
