"""Distances on the globe."""

from cygeodist._haversine import Origin, distance

__all__ = ["Origin", "distance"]
