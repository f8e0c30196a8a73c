"""Import a distribution's modules in a subinterpreter with a GIL of its own (PEP 684, PEP 734), then in a second one.

Usage: see loaders.py. A line per round and module: `round`, `module`, and where it failed `error` and `failed`, the
extension module whose loading raised, if it was one.
"""

from __future__ import annotations

import importlib
import json
import sys
from concurrent import interpreters  # type: ignore[attr-defined] # new in Python 3.14
from pathlib import Path

from . import loaders

_ROUNDS = 2  # the second interpreter meets what the first left behind
_PROGRAMS = str(Path(__file__).parents[2])


def main() -> None:
    """Make interpreters one after the other."""
    wanted = json.loads(sys.argv[1])
    for number in range(1, _ROUNDS + 1):
        request = json.dumps({**wanted, "round": number})

        interpreter = interpreters.create()
        # A new interpreter has no folder of a program at the front of its path: `import_all` takes this one off again.
        interpreter.exec(
            f"import sys; sys.path.insert(0, {_PROGRAMS!r})\n"
            f"from inside.load.subinterpreter import import_all; import_all({request!r})"
        )
        loaders.write_line(wanted, {"begin": f"the end of interpreter {number}"})
        interpreter.close()


def import_all(request: str) -> None:
    """Import everything in this interpreter."""
    wanted = json.loads(request)
    sys.path[0] = wanted["site"]
    watch = loaders.Watch()

    for name in loaders.list_modules(wanted):
        watch.failed = None
        line = {"round": wanted["round"], "module": name}

        loaders.write_line(wanted, {"begin": name})
        try:
            importlib.import_module(name)
        except BaseException as error:
            line["error"] = loaders.describe_error(error)
            line["failed"] = watch.failed
        loaders.write_line(wanted, line)


if __name__ == "__main__":
    main()
