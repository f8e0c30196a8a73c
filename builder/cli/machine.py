"""The commands about this machine: `wheelfarm doctor` and `wheelfarm engine`."""

from __future__ import annotations

import typer

from builder.cli.options import WHEELHOUSE, JsonOption, WheelhouseOption
from builder.cli.output import console, error_console, print_document, print_line
from builder.errors import ExitCode


def doctor(wheelhouse: WheelhouseOption = WHEELHOUSE, as_json: JsonOption = False) -> None:
    """Check whether this machine can run the farm, and suggest a fix for each missing prerequisite.

    Exits with 4 if something required is missing.
    """
    from builder.farm import doctor as checks
    from builder.report.documents.commands import DoctorDocument

    results = checks.run_checks(wheelhouse)
    if as_json:
        print_document(DoctorDocument.model_validate([check.record() for check in results]))
    else:
        checks.render(results, console)

    is_able = all(check.ok or not check.required for check in results)
    raise typer.Exit(ExitCode.ADMISSIBLE if is_able else ExitCode.ENGINE)


def engine(as_json: JsonOption = False) -> None:
    """Ensure that a container engine is running; `make engine` calls this.

    As root, installs and starts the distribution's engine where none answers. Otherwise prints the commands to run.
    """
    from builder.engine import provision
    from builder.report.documents.commands import SCHEMA_VERSION, EngineDocument

    connected = provision.ensure_engine(error_console.print if as_json else print_line)
    version = ".".join(map(str, connected.api_version))
    if as_json:
        document = EngineDocument(
            schema_version=SCHEMA_VERSION, address=connected.address, api_version=version
        )
        print_document(document)
        return
    print_line(f"container engine: {connected.address}, API {version}")
