from ._native import common_prefix, join, total_length

__all__ = ["common_prefix", "join", "total_length"]
