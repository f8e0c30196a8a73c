"""One probe: a process of its own that imports something of a wheel, and how it ended.

Each runs as a user of its own (inside.supervise), and what a probe says counts only if it came to its end.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..supervise.accounts import take_account
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess, choose_variables
from ..supervise.programs import PROGRAMS
from ..supervise.records import Records

# Not measured: so long that a package that is merely slow on a busy machine is not taken for one that hangs.
_IMPORT_TIMEOUT_S = 60
_DUMP_TIMEOUT_S = 5  # for faulthandler to write the stack of a process that hangs

_FRAMES = 12  # of a stack: enough to see where a crash comes from, little enough to be read
_SIGNAL_FRAMES = 2  # the handler itself, and the C library's return from it
_LOG_CHARACTERS = 4000  # of what a probe printed, its end
_OUTPUT_BYTES = 1 << 19  # of what a probe printed, of the beginning and of the end


def run_probe(
    python: str,
    program: str,
    request: dict[str, Any],
    options: tuple[str, ...],
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Run one probe in a process and as a user of its own, and return how that ended.

    Args:
        python: the interpreter.
        program: the probe's module, such as `inside.load.walk`.
        request: the request of the probe.
        options: the interpreter's options.
        variables: further variables of its environment.

    Returns:
        `lines`, what the probe said; `gil_seen` where its GIL was looked at in the end. Where it did not end as it
        should, also one of `signal`, `hang`, or `fault` (what shows that the probe did not come to its end, or that
        somebody else spoke in its place) with `exit_code`; the Python and native `stack` of a signal or a hang; and
        `during`, the module that was being imported then.
    """
    site = request["site"]
    # Without the user's own folder of packages (`-s`): another probe might put something there.
    command = [python, "-s", "-X", "faulthandler", *options, "-m", program]
    print("$", *command, json.dumps(request), flush=True)

    output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
    with (
        open_folder() as home,
        PackageProcess(
            command,
            account=take_account(),
            environment={**choose_variables(os.environ, str(home)), **variables},
            folder=str(PROGRAMS),
            output=output,
            request=request,
        ) as process,
    ):
        has_ended = _await_end(process)
        exit_code = process.end()

    printed = output.read_text()
    print(printed[-_LOG_CHARACTERS:], flush=True)
    records = process.records
    lines = [_cut_site(record, site) for record in records.items if "gil_at" not in record]
    facts: dict[str, Any] = {"lines": [line for line in lines if "begin" not in line]}

    ending = _describe_bad_ending(records, exit_code if has_ended else None)
    if "fault" in ending:
        ending["exit_code"] = exit_code
    elif ending:
        ending["stack"] = read_stack(printed, site)
    facts |= ending

    # The first look was before anything of the package ran.
    if len(process.gil.states) > 1:
        facts["gil_seen"] = process.gil.states[-1]
    if ending and lines and "begin" in lines[-1]:
        facts["during"] = lines[-1]["begin"]

    return facts


def _describe_bad_ending(records: Records, exit_code: int | None) -> dict[str, Any]:
    """Return how a probe ended that did not end as it should, as one of `fault`, `hang` or `signal`; else nothing.

    Args:
        records: what the probe said.
        exit_code: of the probe; None where its time was up.
    """
    if records.forgery:
        forgery = records.forgery
        return {"fault": f"code of the package spoke in the place of the probe: {forgery}"}
    if exit_code is None:
        return {"hang": f"no end within {_IMPORT_TIMEOUT_S} s"}
    if exit_code < 0:
        return {"signal": _name_signal(-exit_code)}
    if exit_code != 0 or not records.is_closed:
        return {"fault": _describe_end(exit_code, is_closed=records.is_closed)}

    return {}


def _describe_end(exit_code: int, *, is_closed: bool) -> str:
    """Say how a process ended that should have ended with exit code 0 once its probe had said everything."""
    when = "after the import" if is_closed else "in the middle of the import"
    return f"the interpreter ended with exit code {exit_code} {when}, without an exception"


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has a number only
        return f"signal {number}"


def _await_end(process: PackageProcess) -> bool:
    """Wait for a process to end and return True; where its time is up, return False.

    SIGABRT comes first: faulthandler then writes where the process hangs. Who calls this kills what does not die of it.
    """
    if process.wait(_IMPORT_TIMEOUT_S):
        return True

    process.send_signal(signal.SIGABRT)
    process.wait(_DUMP_TIMEOUT_S)
    return False


def _cut_site(record: dict[str, Any], site: str) -> dict[str, Any]:
    """Return a record without the folder of packages in its texts.

    The folder has a new name each time; what is said of the same file has to be the same on every base.
    """
    cut: dict[str, Any] = json.loads(json.dumps(record).replace(f"{site}/", ""))
    return cut


def read_stack(printed: str, site: str) -> dict[str, list[str]]:
    """Return the stack that faulthandler printed, as `native` and `python` frames, the innermost first.

    `File "/site/a/b.py", line 3 in f` -> `a/b.py:3 in f`. Left out are the frames of the signal handler, of the import
    system and of these programs, and all beyond `_FRAMES`. Both lists are empty where no stack was printed.

    Args:
        printed: all that the process printed.
        site: folder that packages are installed in; paths are given relative to it.
    """
    native_frames: list[str] = []
    for binary, frame in re.findall(r'^  Binary file "([^"]+)", at (\S+)', printed, re.MULTILINE):
        native_frames.append(f"{frame} in {Path(binary).name}")
        if frame.startswith("_Py_DumpStack"):
            native_frames.clear()  # frames up to here are faulthandler's own

    # Frames of the import system, of the start by `-m`, and of these programs say nothing of the package.
    ignored_paths = ("<frozen importlib", "<frozen runpy", str(PROGRAMS / "inside"))
    python_frames = []
    matches = re.findall(r'^  File "([^"]+)", line (\d+) in (.+)$', printed, re.MULTILINE)
    for path, line, function in matches:
        if not path.startswith(ignored_paths):
            python_frames.append(f"{path.removeprefix(site + '/')}:{line} in {function}")

    return {"native": native_frames[_SIGNAL_FRAMES:][:_FRAMES], "python": python_frames[:_FRAMES]}
