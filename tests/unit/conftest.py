"""The programs in builder/inside/stress import one another from the folder they are put in."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "builder/inside/stress"))
