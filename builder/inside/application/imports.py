"""Import all top-level modules of an environment in this process, and say what became of its GIL.

Usage: see loaders.py. A record per module, as walk.py writes it. The last one has `gil`, whether the GIL is on in the
end (None where the interpreter always has one), and `enabled_by`, the extension module whose loading turned it on.
"""

from __future__ import annotations

import builtins

from ..load import loaders
from ..load.walk import walk_module
from ..supervise.witness import make_gil_reader

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""


def main() -> None:
    """Import every module that the request names, and write what that did to the GIL of this process."""
    request, witness = loaders.begin()
    is_gil_enabled = make_gil_reader()
    watch = loaders.Watch()

    for name in request["tops"]:
        walk_module(name, request, watch, witness, is_gil_enabled)

    witness.write({"gil": is_gil_enabled(), "enabled_by": watch.enabled_by})
    witness.show()
    witness.close()


if __name__ == "__main__":
    main()
