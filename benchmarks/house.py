"""How readable and how well divided `builder/` is, in figures: a thermometer for reviews, not a gate.

Usage: python -m benchmarks.house [--worst N] [--coverage FILE] [--output FILE]

Prints the figures beside those of packaging, build, cibuildwheel, fromager, httpx and structlog, and writes them as
JSON. No figure makes it fail. What each of them counts stands under its field, in `Density` and `House`.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
from radon.complexity import cc_rank, cc_visit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "builder"
OUTPUT = ROOT / "benchmarks" / "out" / "house.json"

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

# A bare participle says what was done to something, and leaves open to what. The irregular ones are those that the
# code had in 2026; `[a-z]+ed` also takes nouns such as `seed`, which are too few to matter.
PARTICIPLE = re.compile(
    r"_*([a-z]+ed|cut|done|found|given|held|kept|known|lent|made|put|said|seen|sent|shown|told|written)"
)

# Comments that a tool reads, and no person.
DIRECTIVE = re.compile(r"#\s*(fmt|mypy|noqa|nosec|pragma|ruff|type)\b")

# A reason beside a complex block is written as `# radon: REASON`.
REASON = re.compile(r"#\s*radon:\s*\S")

# Shorter functions are dense by their nature: `return first(a, b)` is one line.
LEAST_RANKED_LINES = 6

# What the models have, for the printed table: measured by this module on their releases of November 2026.
MODELS = {
    "nodes_per_line": "2.1 to 3.5",
    "comprehensions_per_1000": "3 to 16",
    "blank_percent": "7 to 13",
    "participle_percent": "0 to 1",
    "fmt_skip": "0",
    "comments_per_100": "6 to 13",
    "cycles": "0 to 2",
}


class TestsFailedError(Exception):
    """The unit tests failed, so that the coverage they reached means nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionDensity:
    """How dense one function is."""

    place: str
    """File, line and name."""

    nodes_per_line: float
    """Statements and expressions of the body, divided by its lines that are not blank."""


@dataclass(kw_only=True, slots=True)
class Density:
    """What was counted in the files of a folder."""

    code_lines: int = 0
    """Lines that are neither blank nor only a comment; lines of docstrings are among them."""

    docstring_lines: int = 0
    """Lines of docstrings that are not blank."""

    nodes: int = 0
    """Statements and expressions."""

    comprehensions: int = 0
    """List, set and dict comprehensions, and generator expressions."""

    functions: int = 0
    """Functions and methods, those inside other functions included."""

    participles: int = 0
    """Functions whose whole name is a participle."""

    body_lines: int = 0
    """Lines inside functions, from the first statement after the docstring to the last."""

    blank_body_lines: int = 0
    """Those among them that are blank."""

    comments: int = 0
    """Comments that a person reads, on a line of their own or behind code."""

    fmt_skips: int = 0
    """Places where the formatter is switched off."""

    ranked: list[FunctionDensity] = field(default_factory=list)
    """Every function that is long enough to be ranked."""

    def add_file(self, path: Path, name: str) -> None:
        """Count one file.

        Args:
            path: the file.
            name: what it is called in `ranked`.
        """
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()

        self.code_lines += sum(is_code(line) for line in lines)
        self.fmt_skips += source.count("# fmt: skip")
        self.comments += count_comments(source)

        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.expr, ast.stmt)):
                self.nodes += 1
            if isinstance(node, COMPREHENSIONS):
                self.comprehensions += 1
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                self.docstring_lines += count_docstring_lines(node, lines)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._add_function(node, lines, name)

    def _add_function(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str], name: str
    ) -> None:
        self.functions += 1
        if PARTICIPLE.fullmatch(function.name):
            self.participles += 1

        has_docstring = bool(ast.get_docstring(function))
        statements = function.body[1:] if has_docstring else function.body
        if not statements:
            return

        first, last = statements[0].lineno, statements[-1].end_lineno
        body = lines[first - 1 : last]
        blank = sum(is_blank(line) for line in body)
        self.body_lines += len(body)
        self.blank_body_lines += blank

        if len(body) >= LEAST_RANKED_LINES:
            nodes = sum(count_nodes(statement) for statement in statements)
            place = f"{name}:{function.lineno} {function.name}"
            self.ranked.append(
                FunctionDensity(place=place, nodes_per_line=nodes / (len(body) - blank))
            )

    @property
    def nodes_per_line(self) -> float:
        """Statements and expressions per line of code."""
        return divide(self.nodes, self.code_lines)

    @property
    def comprehensions_per_1000(self) -> float:
        """Comprehensions per 1,000 lines of code."""
        return 1000 * divide(self.comprehensions, self.code_lines)

    @property
    def blank_percent(self) -> float:
        """Blank lines among the lines inside functions."""
        return 100 * divide(self.blank_body_lines, self.body_lines)

    @property
    def participle_percent(self) -> float:
        """Functions named by a bare participle among all."""
        return 100 * divide(self.participles, self.functions)

    @property
    def comments_per_100(self) -> float:
        """Comments per 100 lines of code, docstrings left out."""
        return 100 * divide(self.comments, self.code_lines - self.docstring_lines)

    def worst(self, most: int) -> list[FunctionDensity]:
        """Return the functions with the most nodes per line, the densest first."""
        ranked = sorted(self.ranked, key=lambda function: function.nodes_per_line, reverse=True)
        return ranked[:most]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A function, method or class as `radon cc` counts it."""

    place: str
    """File, line and name."""

    complexity: int
    """Cyclomatic complexity; of a class, the mean of its methods."""

    has_reason: bool
    """Whether `# radon: REASON` stands on its first line or on the line above."""

    @property
    def grade(self) -> str:
        """Radon's grade: A to 5, B to 10, C to 20, D to 30, E to 40, F above."""
        return str(cc_rank(self.complexity))


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """The figures that are written."""

    top_entries: int
    """Modules and packages at the top of the package, but those with an underscore in front."""

    nodes_per_line: float
    comprehensions_per_1000: float
    blank_percent: float
    participle_percent: float
    fmt_skip: int

    radon_c: int
    """Blocks of cyclomatic complexity 11 to 20."""

    radon_d_or_worse: int
    """Blocks of cyclomatic complexity 21 or more, with a reason beside them or without."""

    cycles: int
    """Groups of modules that import one another in a circle; imports for annotations only count too."""

    coverage_percent: float
    """What the unit tests run of the package, as coverage.py states it."""


def is_blank(line: str) -> bool:
    """Return whether a line holds nothing."""
    return not line.strip()


def is_code(line: str) -> bool:
    """Return whether a line holds more than a comment."""
    text = line.strip()
    return bool(text) and not text.startswith("#")


def divide(part: int, whole: int) -> float:
    """Return a share, 0 of nothing."""
    return part / whole if whole else 0.0


def count_nodes(statement: ast.stmt) -> int:
    """Return the number of statements and expressions in a statement, itself included."""
    return sum(isinstance(node, (ast.expr, ast.stmt)) for node in ast.walk(statement))


def count_comments(source: str) -> int:
    """Return the number of comments that are written for people."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
    return sum(not DIRECTIVE.match(comment) for comment in comments)


def count_docstring_lines(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    lines: list[str],
) -> int:
    """Return the number of lines of a docstring that are neither blank nor look like a comment."""
    if not ast.get_docstring(node):
        return 0

    docstring = node.body[0]
    text = lines[docstring.lineno - 1 : docstring.end_lineno]
    return sum(is_code(line) for line in text)


def measure_density(folder: Path) -> Density:
    """Count what is in all Python files of a folder."""
    density = Density()
    for path in sorted(folder.rglob("*.py")):
        density.add_file(path, str(path.relative_to(folder.parent)))

    return density


def count_top_entries(folder: Path) -> int:
    """Return the number of modules and packages at the top of a package."""
    entries = 0
    for path in folder.iterdir():
        is_private = path.name.startswith("_")
        is_python = path.suffix == ".py" or path.is_dir()
        if is_python and not is_private:
            entries += 1

    return entries


def measure_complexity(folder: Path) -> list[Block]:
    """Return every block that `radon cc` lists for a folder, the most complex first."""
    blocks: list[Block] = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()

        for found in cc_visit(source):
            beside = lines[max(0, found.lineno - 2) : found.lineno]
            block = Block(
                place=f"{path.relative_to(folder.parent)}:{found.lineno} {found.fullname}",
                complexity=found.complexity,
                has_reason=any(REASON.search(line) for line in beside),
            )
            blocks.append(block)

    return sorted(blocks, key=lambda block: block.complexity, reverse=True)


def read_imports(package: str) -> dict[str, set[str]]:
    """Return the modules of a package that each of them imports, by name.

    Imports inside functions count, and those under `if TYPE_CHECKING`: a reader follows them too.

    Args:
        package: its name; it has to be importable.
    """
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def find_unread_modules(folder: Path, modules: Collection[str]) -> list[str]:
    """Return the files of a package that its import graph lacks: those in a folder without `__init__.py`.

    Args:
        folder: of the package.
        modules: names of the graph's modules.
    """
    unread: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder.parent)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        if name not in modules:
            unread.append(str(relative))

    return unread


def find_cycles(imports: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one module, each sorted (Tarjan's algorithm).

    Args:
        imports: what each module imports, by name.
    """
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    cycles: list[list[str]] = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        path.append(module)

        for imported in sorted(imports.get(module, ())):
            if imported not in numbers:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in path:
                lowest[module] = min(lowest[module], numbers[imported])

        is_root = lowest[module] == numbers[module]
        if is_root:
            start = path.index(module)
            component = path[start:]
            del path[start:]
            if len(component) > 1:
                cycles.append(sorted(component))

    for module in sorted(imports):
        if module not in numbers:
            visit(module)

    return sorted(cycles)


def read_coverage(path: Path) -> float:
    """Return the percentage that a JSON report of coverage.py states."""
    totals = json.loads(path.read_text(encoding="utf-8"))["totals"]
    return float(totals["percent_covered"])


def run_coverage(root: Path, package: str, workers: str = "auto") -> float:
    """Run the unit tests and return how much of a package they cover, in percent.

    Args:
        root: of the project; what is counted follows its pyproject.toml.
        package: the name of the package.
        workers: processes that share the tests, as pytest-xdist's `-n` takes them.

    Raises:
        TestsFailedError: a test failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            workers,
            f"--cov={package}",
            f"--cov-report=json:{report}",
            "--cov-fail-under=0",  # the floor is the business of `make coverage`
            "tests/unit",
        ]
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "data")}
        ended = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise TestsFailedError(ended.stdout + ended.stderr)

        return read_coverage(report)


def is_outdated(report: Path, folder: Path) -> bool:
    """Return whether a file of a folder was changed after a coverage report was written."""
    written_at = report.stat().st_mtime
    return any(path.stat().st_mtime > written_at for path in folder.rglob("*.py"))


def make_house(
    folder: Path,
    density: Density,
    blocks: Iterable[Block],
    cycles: Collection[list[str]],
    coverage_percent: float,
) -> House:
    """Put the figures together, rounded as they are written."""
    grades = [block.grade for block in blocks]
    return House(
        top_entries=count_top_entries(folder),
        nodes_per_line=round(density.nodes_per_line, 2),
        comprehensions_per_1000=round(density.comprehensions_per_1000, 1),
        blank_percent=round(density.blank_percent, 1),
        participle_percent=round(density.participle_percent, 1),
        fmt_skip=density.fmt_skips,
        radon_c=grades.count("C"),
        radon_d_or_worse=sum(grade >= "D" for grade in grades),
        cycles=len(cycles),
        coverage_percent=round(coverage_percent, 1),
    )


def format_figures(house: House, comments_per_100: float) -> Iterator[str]:
    """Give one line for each figure, with what the models have where that was measured."""
    figures = {**asdict(house), "comments_per_100": round(comments_per_100, 1)}
    for name, value in figures.items():
        models = f"models: {MODELS[name]}" if name in MODELS else ""
        yield f"{name:26}{value:>8}   {models}".rstrip()


def format_complex(blocks: Iterable[Block]) -> Iterator[str]:
    """Give one line for each block of grade D or worse, with whether a reason stands beside it."""
    for block in blocks:
        if block.grade >= "D":
            reason = "reason given" if block.has_reason else "no reason"
            yield f"  {block.grade} ({block.complexity})  {block.place}: {reason}"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.house",
        description="Print figures about the readability of builder/.",
    )
    parser.add_argument(
        "--worst", type=int, default=0, metavar="N", help="also list the N densest functions"
    )
    parser.add_argument(
        "--coverage",
        type=Path,
        metavar="FILE",
        help="take coverage from this JSON report of coverage.py instead of running the unit tests",
    )
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="FILE", help="where to write the figures"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print and write."""
    arguments = parse_arguments()
    folder = ROOT / PACKAGE

    density = measure_density(folder)
    blocks = measure_complexity(folder)
    imports = read_imports(PACKAGE)
    cycles = find_cycles(imports)
    unread = find_unread_modules(folder, imports)

    if arguments.coverage is None:
        coverage_percent = run_coverage(ROOT, PACKAGE)
    else:
        coverage_percent = read_coverage(arguments.coverage)

    house = make_house(folder, density, blocks, cycles, coverage_percent)
    print("\n".join(format_figures(house, density.comments_per_100)))

    for cycle in cycles:
        print(f"cycle: {', '.join(cycle)}")
    if unread:
        print(
            f"not in the import graph, for want of an __init__.py: {len(unread)} files, such as {unread[0]}"
        )
    if arguments.coverage is not None and is_outdated(arguments.coverage, folder):
        print(
            f"{arguments.coverage} is older than {PACKAGE}/: its coverage is that of an earlier state"
        )

    if house.radon_d_or_worse:
        print("blocks of grade D or worse:")
        print("\n".join(format_complex(blocks)))
    if arguments.worst:
        print("densest functions, in nodes a line:")
        for function in density.worst(arguments.worst):
            print(f"{function.nodes_per_line:6.1f}  {function.place}")

    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(asdict(house), indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except TestsFailedError as error:
        sys.exit(f"{error}\nThe unit tests failed: run `make unit` first.")
