"""Run a command of an application, and say how long it took and what it used.

Usage: python -m inside.measure.meter, asked as inside.supervise.witness says; the request has `project`, the folder
that the command starts in, and `command`, which the shell runs. The answer is a reading with `duration` (seconds),
`cpu` (CPU seconds of it and of all that it waited for) and `rss_peak` (bytes, of the largest of these processes); or
`error`, where the command failed.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ..supervise.witness import Witness, read_request


def main() -> None:
    """Answer the request."""
    asked = read_request()
    witness = Witness(asked["token"], asked["descriptor"])
    witness.write(run(asked["request"]))
    witness.close()


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run the command, and return what it took.

    Args:
        request: see above.
    """
    os.chdir(request["project"])
    began = time.perf_counter()
    pid = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", request["command"]], os.environ)
    # wait4 and not `subprocess`: it tells what this command used, not what all commands did.
    _, status, usage = os.wait4(pid, 0)
    duration_s = time.perf_counter() - began

    exit_code = os.waitstatus_to_exitcode(status)
    if exit_code != 0:
        return {"error": f"the command ended with exit code {exit_code}"}

    metrics = {
        "duration": duration_s,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss_peak": usage.ru_maxrss * 1024,
    }
    return {"count": 1, "metrics": metrics}


if __name__ == "__main__":
    main()
