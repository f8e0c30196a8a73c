import math

import pytest
import unitconv


def test_convert():
    assert math.isclose(unitconv.convert(1, "mi", "km"), 1.609344)
    assert math.isclose(unitconv.convert(3, "lb", "g"), 1360.77711)


def test_refused():
    with pytest.raises(unitconv.UnitError, match="length"):
        unitconv.convert(1, "m", "kg")
    with pytest.raises(unitconv.UnitError):
        unitconv.convert(1, "ell", "m")
    assert "ell" not in unitconv.units()
