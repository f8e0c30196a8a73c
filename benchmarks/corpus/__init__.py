"""The corpus of packages with known threading faults, for detectors other than wheelfarm."""
