"""Import a distribution's modules in a subinterpreter with a GIL of its own (PEP 684, PEP 734), then in a second one.

Usage: see loaders.py. A record per round and module: `round`, `module`, and where it failed `error` and `failed`, the
extension module whose loading raised, if it was one.
"""

from __future__ import annotations

import json
import sys
from concurrent import interpreters  # type: ignore[attr-defined] # new in Python 3.14
from pathlib import Path

from ..supervise.witness import Witness, hide_programs, read_request
from . import loaders

_ROUNDS = 2  # the second interpreter meets what the first left behind
_PROGRAMS = str(Path(__file__).parents[2])


def main() -> None:
    """Import everything in one subinterpreter, end it, and do the same in a second one.

    A module may work in the first and fail in the second, on static data that the first one left behind.
    """
    asked = read_request()
    settings = asked["request"]
    witness = Witness(asked["token"], asked["descriptor"])
    records_written = 0
    for round_number in range(1, _ROUNDS + 1):
        request = json.dumps(
            {**asked, "request": {**settings, "round": round_number}, "first": records_written}
        )

        interpreter = interpreters.create()
        # A new interpreter has no folder of a program at the front of its path: `import_all` takes this one off again.
        interpreter.exec(
            f"import sys; sys.path.insert(0, {_PROGRAMS!r})\n"
            f"from inside.load.subinterpreter import import_all; import_all({request!r})"
        )
        # It wrote two for each module, in the name of this process.
        in_round = 2 * len(loaders.list_modules(settings))
        witness.skip(in_round)
        witness.write({"begin": f"the end of interpreter {round_number}"})
        records_written += in_round + 1
        interpreter.close()

    witness.close()


def import_all(request: str) -> None:
    """Import every module in the interpreter that calls this, and write two records for each.

    Args:
        request: as JSON what `read_request` returned, with `round`, the number of this interpreter, in its request, and
            with `first`, how many records there are already.
    """
    asked = json.loads(request)
    settings = asked["request"]
    witness = Witness(asked["token"], asked["descriptor"], asked["first"])
    sys.path[0] = settings["site"]
    watch = loaders.Watch()
    hide_programs()

    for name in loaders.list_modules(settings):
        watch.failed = None
        line = {"round": settings["round"], "module": name}

        witness.write({"begin": name})
        try:
            loaders.import_asked(settings, name)
        except BaseException as error:
            line["error"] = loaders.describe_error(error)
            line["failed"] = watch.failed
        witness.write(line)


if __name__ == "__main__":
    main()
