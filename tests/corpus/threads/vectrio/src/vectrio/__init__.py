"""Three-component vectors."""

from vectrio._vec import Vec3, cross, dot

X = Vec3(1.0, 0.0, 0.0)
Y = Vec3(0.0, 1.0, 0.0)
Z = Vec3(0.0, 0.0, 1.0)

__all__ = ["X", "Y", "Z", "Vec3", "cross", "dot"]
