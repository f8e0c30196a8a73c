"""Delay threads at yield points, to bring about rare orders of what they do.

The source of this module's class goes into programs that are sent to maintainers (script.py): it needs nothing else,
and delays nothing where the library is missing, which is ours (images/schedule.c).
"""

import ctypes
import os
import sys

LIBRARY = "/opt/wheelfarm/schedule.so"
"""Where the images have the library."""


class Delays:
    """Delays threads from `begin` to `end`, at places and for times that a plan decides (schedules.py)."""

    def __init__(self, plan, packages):
        """Make the yield points, which stay for as long as the process lives.

        Args:
            plan: which places, how often, and how long.
            packages: names of imported modules: where the native code beside these calls other code, there are yield
                points.
        """
        self.library = None
        if not os.path.exists(LIBRARY):
            return

        # CDLL would let go of the thread state at every call, and threads would stop there.
        self.library = ctypes.PyDLL(LIBRARY)
        for name in packages:
            file = sys.modules[name].__file__
            if file is not None:
                is_package = hasattr(sys.modules[name], "__path__")
                folder = os.path.dirname(os.path.dirname(file) if is_package else file)
                self.library.schedule_install(os.fsencode(folder))
        self.library.schedule_plan(
            ctypes.c_uint64(plan["seed"]),
            ctypes.c_uint(plan["kinds"]),
            ctypes.c_long(plan["gap"]),
            ctypes.c_long(plan["pause_us"]),
            ctypes.c_long(plan["delays"]),
        )

    def begin(self, number):
        """Delay this thread from now on: the plan's seed and this number decide when."""
        if self.library is not None:
            self.library.schedule_begin(ctypes.c_uint64(number))

    def end(self):
        """Delay this thread no more."""
        if self.library is not None:
            self.library.schedule_end()
