"""One index for each attack, the honest packages' results without any, and the table of what was contained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.attack import ENDED_WELL, Attack, World, check_attack, describe_neighbours
from tests.hostile.attacks import MISSING
from tests.hostile.server import HostileIndex, serving
from tests.hostile.world import NEIGHBOURS, make_site, run_offline, write_matrix

_PROPERTY = "attack"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hostile-json", type=Path, help="Write how many attacks were contained to this file."
    )


@pytest.fixture
def index() -> Iterator[HostileIndex]:
    """Serve an index that answers whatever an attack wants."""
    with serving() as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is removed afterwards: some attacks write gigabytes where they get through."""
    yield tmp_path / "site"
    shutil.rmtree(tmp_path / "site", ignore_errors=True)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, object]:
    """Return what becomes of the honest packages where nobody attacks."""
    with serving() as served:
        site = make_site("nobody", tmp_path_factory.mktemp("undisturbed") / "site", served)
        world = run_offline(site, write_matrix(site, {}), 60)
    assert world.exit_code == 0, world.output.decode()
    return describe_neighbours(world, NEIGHBOURS)


Alone = Callable[[Attack], None]


@pytest.fixture
def alone(
    index: HostileIndex,
    folder: Path,
    undisturbed: Mapping[str, object],
    request: pytest.FixtureRequest,
) -> Alone:
    """Return a function that runs the farm on one attack and the honest packages, and checks what became of both."""

    def run(attack: Attack) -> None:
        site = make_site(attack.name, folder, index)
        matrix = write_matrix(site, {attack.package: attack.make(site)})
        world = run_offline(site, matrix, attack.seconds)
        if attack.later is not None:
            assert world.exit_code in ENDED_WELL, world.output.decode(errors="replace")
            attack.later(site)
            world = run_offline(site, matrix, attack.seconds)
        check_with_neighbours(request, attack, world, undisturbed)

    return run


def check_with_neighbours(
    request: pytest.FixtureRequest,
    attack: Attack,
    world: World,
    undisturbed: Mapping[str, object],
    ended_well: frozenset[int] = ENDED_WELL,
) -> None:
    """Note what became of an attack and of the honest packages beside it, then check both.

    Raises:
        AssertionError: the attack got through, or an honest package is not what it is without it.
    """
    neighbours = describe_neighbours(world, tuple(undisturbed))
    unharmed = [name for name in undisturbed if neighbours[name] == undisturbed[name]]
    record(request, attack, world, len(unharmed), len(undisturbed))

    check_attack(attack, world, ended_well)
    assert neighbours == undisturbed


def record(
    request: pytest.FixtureRequest, attack: Attack, world: World, unharmed: int, of: int
) -> None:
    """Note what became of an attack, for the table."""
    row = {
        "name": attack.name,
        "point": attack.point,
        "kind": attack.kind,
        "verdict": ", ".join(dict.fromkeys(world.verdicts_of(attack.package))) or "none",
        "codes": sorted(world.codes_of(attack.package)),
        "seconds": round(world.seconds, 1),
        "memory": world.peak_bytes >> 20,
        "checked": attack.checked,
        "neighbours": [unharmed, of],
    }
    request.node.user_properties.append((_PROPERTY, row))


# --- the table --------------------------------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run whose figures are asked for fail on any escape, those that are expected among them."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    wants_figures = session.config.getoption("--hostile-json", None) is not None
    if wants_figures and reporter is not None and reporter.getreports("xfailed"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Print a row for every attack, and write the figures where they are asked for."""
    rows: list[dict[str, Any]] = []
    for outcome in ("passed", "failed", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(outcome):
            for name, row in report.user_properties:
                if name == _PROPERTY and report.when == "call":
                    rows.append({**row, "contained": outcome in {"passed", "xpassed"}})
    if not rows:
        return

    terminalreporter.section("hostile")
    line = "{:<26} {:>6}  {:<13} {:<26} {:>6} {:>6}  {:<3}  {}"
    terminalreporter.write_line(
        line.format("attack", "point", "kind", "verdict", "s", "MiB", "in", "checked")
    )
    for row in sorted(rows, key=lambda row: (row["point"].zfill(2), row["name"])):
        verdict = " ".join([row["verdict"], *row["codes"][:2]])
        contained = "yes" if row["contained"] else "NO"
        terminalreporter.write_line(
            line.format(
                row["name"], row["point"], row["kind"], verdict, row["seconds"], row["memory"], contained, row["checked"]
            )
        )  # fmt: skip

    figures = {
        "attacks": len(rows),
        "contained": sum(row["contained"] for row in rows),
        "good_neighbours": [
            sum(row["neighbours"][0] for row in rows),
            sum(row["neighbours"][1] for row in rows),
        ],
        "escapes": sorted(row["name"] for row in rows if not row["contained"]),
    }
    terminalreporter.write_line(json.dumps(figures))
    target = config.getoption("--hostile-json")
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(figures, indent=1) + "\n")


def marked(attacks: tuple[Attack, ...], *, is_group: bool = False) -> list[Any]:
    """Return attacks as parameters of a test; those whose wall is missing are expected to get through.

    Args:
        attacks: the attacks.
        is_group: whether one run has all of them: those that are not quick are marked as slow.
    """
    parameters = []
    for attack in attacks:
        marks: list[pytest.MarkDecorator] = []
        if attack.name in MISSING:
            marks.append(pytest.mark.xfail(reason=MISSING[attack.name], strict=True))
        if is_group and not attack.quick:
            marks.append(pytest.mark.slow)
        parameters.append(pytest.param(attack, id=attack.name, marks=marks))
    return parameters
