from ._cloud import Cloud

__all__ = ["Cloud"]
