import math

import vectrio
from vectrio import Vec3


def test_sum():
    assert Vec3(1, 2, 3) + Vec3(4, 5, 6) == Vec3(5, 7, 9)
    assert Vec3(1, 2, 3) - Vec3(1, 2, 3) == Vec3(0, 0, 0)


def test_products():
    assert vectrio.cross(vectrio.X, vectrio.Y) == vectrio.Z
    assert vectrio.dot(vectrio.X, vectrio.Y) == 0


def test_length():
    assert math.isclose(abs(Vec3(3, 4, 12)), 13)


def test_repr():
    assert repr(Vec3(1, 2.5, 0).scaled(2)) == "Vec3(2, 5, 0)"
