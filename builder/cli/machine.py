"""The commands about this machine: `wheelfarm doctor` and `wheelfarm engine`."""

from __future__ import annotations

import typer

from builder.cli.options import WHEELHOUSE, JsonOption, WheelhouseOption
from builder.cli.output import console, print_json, print_line
from builder.errors import ExitCode


def doctor(wheelhouse: WheelhouseOption = WHEELHOUSE, as_json: JsonOption = False) -> None:
    """Check whether this machine can run the farm, and suggest a fix for each missing prerequisite.

    Exits with 4 if something required is missing.
    """
    from builder.farm import doctor as checks

    results = checks.run_checks(wheelhouse)
    if as_json:
        print_json([check.record() for check in results])
    else:
        checks.render(results, console)

    is_able = all(check.ok or not check.required for check in results)
    raise typer.Exit(ExitCode.ADMISSIBLE if is_able else ExitCode.ENGINE)


def engine() -> None:
    """Ensure that a container engine is running; `make engine` calls this.

    As root, installs and starts the distribution's engine where none answers. Otherwise prints the commands to run.
    """
    from builder.engine import provision

    connected = provision.ensure_engine(print_line)
    version = ".".join(map(str, connected.api_version))
    print_line(f"container engine: {connected.address}, API {version}")
