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
    """Import everything in one subinterpreter, end it, and do the same in a second one.

    A module may work in the first and fail in the second, on static data that the first one left behind.
    """
    settings = json.loads(sys.argv[1])
    for round_number in range(1, _ROUNDS + 1):
        request = json.dumps({**settings, "round": round_number})

        interpreter = interpreters.create()
        # A new interpreter has no folder of a program at the front of its path: `import_all` takes this one off again.
        interpreter.exec(
            f"import sys; sys.path.insert(0, {_PROGRAMS!r})\n"
            f"from inside.load.subinterpreter import import_all; import_all({request!r})"
        )
        loaders.write_line(settings, {"begin": f"the end of interpreter {round_number}"})
        interpreter.close()


def import_all(request: str) -> None:
    """Import every module in the interpreter that calls this, and write a line for each.

    Args:
        request: the request as JSON, with `round`, the number of this interpreter.
    """
    settings = json.loads(request)
    sys.path[0] = settings["site"]
    watch = loaders.Watch()

    for name in loaders.list_modules(settings):
        watch.failed = None
        line = {"round": settings["round"], "module": name}

        loaders.write_line(settings, {"begin": name})
        try:
            importlib.import_module(name)
        except BaseException as error:
            line["error"] = loaders.describe_error(error)
            line["failed"] = watch.failed
        loaders.write_line(settings, line)


if __name__ == "__main__":
    main()
