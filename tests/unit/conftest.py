"""The programs in builder/inside/stress import one another from the folder they are put in."""

import sys
from pathlib import Path

INSIDE = Path(__file__).parents[2] / "builder/inside"
sys.path += [str(INSIDE / "stress")]
