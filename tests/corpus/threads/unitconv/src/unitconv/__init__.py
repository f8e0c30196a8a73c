from ._units import UnitError, convert, units

__all__ = ["UnitError", "convert", "units"]
