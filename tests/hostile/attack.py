"""What an attack is, what it may use, and what is looked at when the farm has met it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.hostile.server import HostileIndex

SECRET = "a line that only the host has: 6f1c0f7e2a"
"""What is in the file of the host that every attack would like to have; it may turn up nowhere else."""

PASSWORD = "password-of-the-host-e09a4d"
"""What the host's settings have for a password of a proxy and of uploads, where the farm runs with an engine."""

MAX_SECONDS = 90.0
"""Longest that a run without an engine may take; without an attack it takes two seconds of an idle machine."""

MAX_MEMORY_BYTES = 700 << 20
"""Most memory that the farm's own process may take; without an attack it takes about 120 MiB."""

ENDED_WELL = frozenset({0, 1, 3})
"""Exit codes of a run that judged everything: no fault, a fault, undetermined."""


def nothing_more(world: World) -> None:
    """Check nothing beyond what is checked of every attack."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One thing that somebody hostile would do.

    Attributes:
        name: of the attack, and of the package that makes it.
        point: which point of the list of walls it is for: `1` to `14`, or `medium`.
        kind: what is hostile: `sdist`, `wheel`, `index answer`, `text`, `log`, `shard`.
        make: puts the attack in place and returns the package's table in matrix.toml, without its heading.
        verdicts: verdicts of the package that are right; any of them will do.
        codes: codes of which the package's findings have at least one; empty where that does not matter.
        checked: what must not have happened, for the table.
        check: looks for traces of that; raises AssertionError.
        seconds: longest that the run may take.
        memory_bytes: most memory of the farm's own process.
        subject: the package that makes the attack, where it is not called as the attack is.
        quick: whether `make test` runs it too, if it needs an engine; those that need none are always run.
        later: changes what is in place before a second run in the same wheelhouse; None where one run is all.
        companions: further packages that the attack needs, each by a maker of its own. Only with an engine.
    """

    name: str
    point: str
    kind: str
    make: Callable[[Site], str]
    verdicts: tuple[str, ...]
    codes: tuple[str, ...] = ()
    checked: str
    check: Callable[[World], None] = nothing_more
    seconds: float = MAX_SECONDS
    memory_bytes: int = MAX_MEMORY_BYTES
    subject: str = ""
    quick: bool = False
    later: Callable[[Site], None] | None = None
    companions: Mapping[str, Callable[[Site], str]] = field(default_factory=dict)

    @property
    def package(self) -> str:
        """The name of the package that makes the attack."""
        return self.subject or self.name


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where an attack is put together.

    Attributes:
        name: of its package.
        folder: has matrix.toml and the sdists.
        host: stands for the host's files; its `secret` may be read by nobody, and nothing may be added.
        index: the index that the farm asks.
        answers: what containers answer in the place of the honest answer, by package: see offline.py.
        machine: what the farm without an engine is told of its machine: see offline.py.
        abi: the one that the package is built for; others of the matrix are skipped.
    """

    name: str
    folder: Path
    host: Path
    index: HostileIndex
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    abi: str = "cp314"

    def make_host(self) -> None:
        """Make the folder that stands for the host's files, with its secret."""
        self.host.mkdir(parents=True)
        self.secret.write_text(self.secret_text)

    @property
    def secret_text(self) -> str:
        """What is in the host's file; each attack has another one, so that it shows who got it."""
        return f"{SECRET} {self.name};"

    @property
    def secret(self) -> Path:
        """A file of the host."""
        return self.host / "secret"

    @property
    def connections(self) -> Path:
        """What the farm without an engine would have connected to beside the loopback interface: an address a line."""
        return self.folder / "connections.txt"

    @property
    def stolen(self) -> Path:
        """A path of the host that an attack would like to write; it is not there."""
        return self.host / "written-by-an-attack"


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there when the farm has met an attack.

    Attributes:
        site: where the attack came from.
        wheelhouse: what the farm made.
        exit_code: of the farm; negative for a signal, None where it had to be killed.
        seconds: how long it took.
        peak_bytes: most memory that its process had.
        output: what it printed.
    """

    site: Site
    wheelhouse: Path
    exit_code: int | None
    seconds: float
    peak_bytes: int
    output: bytes

    def packages(self) -> dict[str, dict[str, Any]]:
        """Return the packages of verdicts.json by name; empty where there is none."""
        path = self.wheelhouse / "verdicts.json"
        if not path.is_file():
            return {}
        return {package["name"]: package for package in json.loads(path.read_text())["packages"]}

    def verdicts_of(self, name: str) -> tuple[str, ...]:
        """Return a package's verdict, alone in a tuple; empty where it was not judged."""
        judgement = self._judgement_of(name)
        return (judgement["verdict"],) if judgement else ()

    def codes_of(self, name: str) -> set[str]:
        """Return the codes of a package's findings."""
        judgement = self._judgement_of(name)
        return {finding["code"] for finding in judgement.get("findings", ())}

    def _judgement_of(self, name: str) -> dict[str, Any]:
        """Return what verdicts.json says of a package on the site's ABI; empty where it was not judged."""
        package = self.packages().get(name, {"abis": {}})
        judgement: dict[str, Any] = package["abis"].get(self.site.abi, {})
        return judgement

    def served(self, name: str) -> dict[str, str]:
        """Return the sha256 of every file that the index serves of a project, by name.

        Left out is the page that has the time of its making, index.json; index.html has the same links.
        """
        folder = self.wheelhouse / "simple" / name
        hashes: dict[str, str] = {}
        for path in folder.rglob("*") if folder.is_dir() else ():
            if path.is_file() and path.name != "index.json":
                hashes[path.name] = hash_file(path)
        return hashes


def hash_file(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- what is looked at after every attack -----------------------------------------------------------------------------


def check_attack(attack: Attack, world: World, ended_well: frozenset[int] = ENDED_WELL) -> None:
    """Check that an attack was contained and judged rightly.

    Args:
        attack: the attack.
        world: what is there afterwards.
        ended_well: exit codes of a command that did what it was asked, or refused to with a reason.

    Raises:
        AssertionError: it was not; the text says what was seen.
    """
    printed = world.output[-3000:].decode(errors="replace")
    assert world.exit_code is not None, f"the farm did not end within {attack.seconds:.0f} s"
    assert world.exit_code in ended_well, f"the farm ended with {world.exit_code}:\n{printed}"
    assert world.seconds <= attack.seconds, f"it took {world.seconds:.0f} s"
    assert world.peak_bytes <= attack.memory_bytes, f"{world.peak_bytes >> 20} MiB of memory"
    check_host(world)
    check_constraints(world)

    verdicts = world.verdicts_of(attack.package)
    assert verdicts, f"{attack.package} was not judged:\n{printed}"
    for verdict in verdicts:
        assert verdict in attack.verdicts, f"{attack.package} is {verdict}"
    if attack.codes:
        codes = world.codes_of(attack.package)
        assert codes & set(attack.codes), f"its findings are {sorted(codes)}"

    attack.check(world)


def check_host(world: World) -> None:
    """Check that nothing was written on the host, and that none of its content is in the wheelhouse.

    Raises:
        AssertionError: something was.
    """
    present = {path.name for path in world.site.host.rglob("*")}
    assert present == {"secret"}, f"on the host there is now {sorted(present)}"
    secret = world.site.secret_text
    assert world.site.secret.read_text() == secret, "the host's file was written to"

    for path in iter_files(world.wheelhouse):
        assert not path.is_symlink(), f"{path} is a link to {path.readlink()}"
        assert secret.encode() not in path.read_bytes(), f"{path} has what only the host has"
    assert secret.encode() not in world.output, "the host's file was printed"


_PIN = re.compile(r"([a-z0-9.-]+)(?:==|>=)[^\s;@]+(?:\s+#.*)?")
"""What a line of a constraints file is, unless it is a comment."""


def check_constraints(world: World) -> None:
    """Check that the constraints files have nothing but pins of projects that are served.

    Raises:
        AssertionError: a line of them is a requirement that the farm did not write.
    """
    for path in (world.wheelhouse / "constraints").glob("*.txt"):
        # pip takes a line to end where splitlines() does, and joins lines at a backslash.
        for line in path.read_bytes().decode().splitlines():
            assert not line.endswith("\\"), f"{path.name} goes on after {line!r}"
            if not line.strip() or line.startswith("#"):
                continue
            pin = _PIN.fullmatch(line)
            assert pin, f"{path.name} has the line {line!r}"
            assert world.served(pin[1]), f"{path.name} pins {pin[1]}, which is not served"


def iter_files(folder: Path) -> Iterator[Path]:
    """Yield every file and link below a folder that is not a huge one of the farm's own."""
    for path in folder.rglob("*"):
        if path.is_symlink() or path.is_file():
            yield path


def describe_neighbours(world: World, names: tuple[str, ...]) -> dict[str, object]:
    """Return all that must be the same whoever is beside the honest packages: verdicts, reasons, served files."""
    packages = world.packages()
    described: dict[str, object] = {}
    for name in names:
        package = packages.get(name)
        described[name] = package and {
            "judged": _without_times(package),
            "served": world.served(name),
        }
    return described


def _without_times(value: Any) -> Any:
    """Return JSON data without what differs from run to run: times, speeds, estimates, and where logs are."""
    if isinstance(value, Mapping):
        return {
            key: _without_times(item)
            for key, item in value.items()
            if key not in {"seconds", "log", "size_bytes", "speed", "missed"}
        }
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
