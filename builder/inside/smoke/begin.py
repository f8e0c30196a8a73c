"""Begin to watch this process, if its command is to be watched; a line of a `.pth` file runs this file.

What goes wrong here must not become the application's fault.
"""

import os
import sys

_PROGRAMS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - an early import less

try:
    sys.path.insert(0, _PROGRAMS)
    try:
        from inside.smoke import watch  # type: ignore[import-not-found] # it is on the path now
    finally:
        sys.path.remove(_PROGRAMS)
    watch.begin()
except Exception:  # the command runs unwatched, and its supervisor sees that
    pass
