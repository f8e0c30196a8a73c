"""One way to run an application: an interpreter with its environment, variables, and a number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..application.environment import describe_environment
from ..supervise.accounts import take_account
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess
from ..supervise.programs import PROGRAMS

_OUTPUT_BYTES = 1 << 16
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run an application.

    Attributes:
        name: of the variant, unique in a request.
        environment: its virtual environment.
        project: the folder of the project.
        variables: of its environment, those of the application among them.
        threads: how many make calls.
    """

    name: str
    environment: Path
    project: str
    variables: dict[str, str]
    threads: int

    def describe_variables(self, home: Path) -> dict[str, str]:
        """Return the whole environment of a process.

        Args:
            home: its home.
        """
        return describe_environment({"variables": self.variables}, self.environment, home)

    def run_program(
        self, program: str, request: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        """Run a program of this package with the variant's interpreter; return its answer, or `error`.

        Args:
            program: the module's last name, such as `caller`.
            request: what it is asked.
            timeout_s: longest time for it.
        """
        command = [str(self.environment / "bin" / "python"), "-m", f"inside.measure.{program}"]
        output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
        with (
            open_folder() as home,
            PackageProcess(
                command,
                account=take_account(),
                environment=self.describe_variables(home),
                folder=str(PROGRAMS),
                output=output,
                request={**request, "project": self.project},
            ) as process,
        ):
            has_ended = process.wait(timeout_s)
            exit_code = process.end()

        records = process.records
        if has_ended and exit_code == 0 and records.is_closed and not records.forgery:
            return records.items[-1]

        how = f"exit code {exit_code}" if has_ended else f"no end within {timeout_s:.0f} s"
        return {"error": f"{how}; it printed: {output.read_text()[-_SHOWN_CHARACTERS:]}"}
