"""The figures of `make house`, each on sources whose figure can be counted by hand."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks import house


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a package called `planted`; return its folder."""
    folder = root / "planted"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    return folder


def measure(root: Path, text: str) -> house.Density:
    return house.measure_density(plant(root, {"module.py": text}))


def test_nodes_are_statements_and_expressions_and_lines_those_of_code(tmp_path: Path):
    density = measure(
        tmp_path,
        """\
        # a comment

        total = 1 + 2
        print(total)
        """,
    )
    # Assign, Name, BinOp, Constant, Constant; Expr, Call, Name, Name.
    assert density.nodes == 9
    assert density.code_lines == 2
    assert density.nodes_per_line == 4.5


def test_every_kind_of_comprehension_counts_and_so_does_one_inside_another(tmp_path: Path):
    density = measure(
        tmp_path,
        """\
        a = [x for x in y]
        b = {x for x in y}
        c = {x: x for x in y}
        d = sum(x for x in y)
        e = [[x for x in row] for row in y]
        """,
    )
    assert density.comprehensions == 6
    assert density.comprehensions_per_1000 == 1200


def test_blank_lines_count_between_the_first_statement_and_the_last(tmp_path: Path):
    density = measure(
        tmp_path,
        '''\
        def count():
            """Return something.

            The blank line above is the docstring's.
            """

            first = 1

            return first


        def other(): ...
        ''',
    )
    # `first = 1`, a blank line, `return first`; and the one line of `other`.
    assert density.body_lines == 4
    assert density.blank_body_lines == 1
    assert density.blank_percent == 25


def test_participles_count_where_they_are_the_whole_name(tmp_path: Path):
    density = measure(
        tmp_path,
        """\
        def told(): ...
        def _judged(): ...
        def read_judged(): ...
        class Shown:
            async def kept(self): ...
            def resolve(self): ...
        """,
    )
    assert density.functions == 5
    assert density.participles == 3
    assert density.participle_percent == 60


def test_comments_for_tools_are_not_comments_for_people(tmp_path: Path):
    density = measure(
        tmp_path,
        '''\
        """A docstring # is no comment."""
        # The reason.
        a = "# nor is text"  # another reason
        b = [1,
             2]  # fmt: skip
        import os  # noqa: F401
        c = a + 1  # type: ignore[operator]
        ''',
    )
    assert density.comments == 2
    assert density.fmt_skips == 1
    # The docstring is no line of code here, as in no other project's figure for comments.
    assert density.code_lines - density.docstring_lines == 5
    assert density.comments_per_100 == 40


def test_the_densest_functions_come_first_and_short_ones_are_not_ranked(tmp_path: Path):
    density = measure(
        tmp_path,
        """\
        def sparse():
            pass
            pass
            pass

            pass
            pass
        def dense():
            a = b + b
            a = b + b
            a = b + b

            a = b + b
            a = b + b
        def short():
            return [[[[1]]]]
        """,
    )
    assert [function.place for function in density.worst(5)] == [
        "planted/module.py:8 dense",
        "planted/module.py:1 sparse",
    ]
    assert [function.nodes_per_line for function in density.worst(5)] == [5, 1]
    assert [function.place for function in density.worst(1)] == ["planted/module.py:8 dense"]


def test_an_empty_package_has_figures_of_nothing(tmp_path: Path):
    density = measure(tmp_path, "")
    assert density.nodes_per_line == 0
    assert density.blank_percent == 0
    assert density.comments_per_100 == 0


def test_modules_and_packages_at_the_top_are_entries(tmp_path: Path):
    folder = plant(
        tmp_path,
        {
            "__init__.py": "",
            "__pycache__/a.pyc": "",
            "_private.py": "",
            "py.typed": "",
            "first.py": "",
            "inner/__init__.py": "",
            "inner/second.py": "",
        },
    )
    assert house.count_top_entries(folder) == 2


def branches(name: str, count: int) -> str:
    """Return a function of cyclomatic complexity `count`."""
    conditions = "".join(f"    if a == {number}: pass\n" for number in range(count - 1))
    return f"def {name}(a):\n{conditions}    return a\n"


def test_blocks_have_the_grade_that_radon_gives(tmp_path: Path):
    text = (
        branches("b", 10)
        + branches("c", 11)
        + branches("c2", 20)
        + branches("d", 21)
        + branches("f", 41)
    )
    folder = plant(tmp_path, {"module.py": text})
    blocks = house.measure_complexity(folder)
    assert [(block.grade, block.complexity) for block in blocks] == [
        ("F", 41),
        ("D", 21),
        ("C", 20),
        ("C", 11),
        ("B", 10),
    ]


def test_blocks_are_those_that_radon_lists(tmp_path: Path):
    text = f"class Inner:\n{''.join(f'    {line}' for line in branches('method', 12).splitlines(keepends=True))}"
    text += branches("outer", 3) + "    def closure(): pass\n"
    folder = plant(tmp_path, {"module.py": text})
    command = [sys.executable, "-m", "radon", "cc", "-j", str(folder)]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (blocks,) = listed.values()
    assert sorted((block["complexity"], block["rank"]) for block in blocks) == sorted(
        (block.complexity, block.grade) for block in house.measure_complexity(folder)
    )
    assert len(blocks) == 3


@pytest.mark.parametrize(
    ("above", "behind", "expected"),
    [
        ("", "", "no reason"),
        ("# a parser\n", "", "no reason"),
        ("# radon:\n", "", "no reason"),
        ("# radon: one branch for each token\n", "", "reason given"),
        ("", "  # radon: one branch for each token", "reason given"),
    ],
)
def test_a_reason_stands_on_the_line_or_above_it(
    tmp_path: Path, above: str, behind: str, expected: str
):
    text = "\n" + above + branches("parse", 21).replace(":\n", f":{behind}\n", 1)
    blocks = house.measure_complexity(plant(tmp_path, {"module.py": text}))
    (line,) = house.format_complex(blocks)
    assert line.endswith(f"parse: {expected}")
    assert line.startswith("  D (21)")


def test_a_reason_is_that_of_the_next_block_alone(tmp_path: Path):
    text = "# radon: a parser\n" + branches("first", 21) + branches("second", 22)
    lines = list(
        house.format_complex(house.measure_complexity(plant(tmp_path, {"module.py": text})))
    )
    assert [line.rpartition(" ")[2] for line in lines] == ["reason", "given"]


def test_simple_blocks_are_not_listed(tmp_path: Path):
    blocks = house.measure_complexity(plant(tmp_path, {"module.py": branches("c", 20)}))
    assert list(house.format_complex(blocks)) == []


def test_cycles_are_groups_of_modules_that_reach_one_another():
    imports = {
        "a": {"b"},
        "b": {"c"},
        "c": {"a", "leaf"},
        "d": {"e", "a"},
        "e": {"d"},
        "leaf": set(),
        "top": {"a", "d"},
    }
    assert house.find_cycles(imports) == [["a", "b", "c"], ["d", "e"]]


def test_a_graph_with_two_ways_to_one_module_has_no_cycle():
    assert (
        house.find_cycles(
            {"top": {"left", "right"}, "left": {"end"}, "right": {"end", "left"}, "end": set()}
        )
        == []
    )


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with three cycles: one plain, one by a late import, one by an import for annotations only."""
    folder = plant(
        tmp_path,
        {
            "__init__.py": "",
            "a.py": "from planted import b",
            "b.py": "import planted.a",
            "late.py": "def call():\n    from planted.inner import module",
            "inner/__init__.py": "",
            "inner/module.py": "import planted.late",
            "typed.py": """
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    from planted.plain import Plain
            """,
            "plain.py": "from planted import typed",
            "loose/unseen.py": "import planted.loose.unseen",
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_late_imports_and_those_for_annotations_close_a_cycle(planted: Path):
    cycles = house.find_cycles(house.read_imports("planted"))
    assert cycles == [
        ["planted.a", "planted.b"],
        ["planted.inner.module", "planted.late"],
        ["planted.plain", "planted.typed"],
    ]


def test_files_outside_of_any_package_are_named(planted: Path):
    imports = house.read_imports("planted")
    assert house.find_unread_modules(planted, imports) == ["planted/loose/unseen.py"]


def make_project(root: Path, test: str) -> None:
    plant(
        root,
        {
            "__init__.py": "",
            "module.py": "def used():\n    return 1\n\n\ndef unused():\n    return 2\n",
        },
    )
    (root / "tests/unit").mkdir(parents=True)
    (root / "tests/unit/test_planted.py").write_text(test)


def test_coverage_is_that_of_the_unit_tests(tmp_path: Path):
    make_project(
        tmp_path, "from planted.module import used\n\n\ndef test_used():\n    assert used() == 1\n"
    )
    # A floor, which `make coverage` enforces, does not matter here.
    (tmp_path / "pyproject.toml").write_text("[tool.coverage.report]\nfail_under = 99\n")
    # Two definitions and one return of two are run.
    assert house.run_coverage(tmp_path, "planted", workers="0") == 75
    assert not (tmp_path / ".coverage").exists()


def test_tests_that_fail_give_no_coverage(tmp_path: Path):
    make_project(tmp_path, "def test_used():\n    assert False, 'planted failure'\n")
    with pytest.raises(house.TestsFailedError, match="planted failure"):
        house.run_coverage(tmp_path, "planted", workers="0")


def test_a_report_older_than_the_code_is_outdated(tmp_path: Path):
    folder = plant(tmp_path, {"module.py": ""})
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"totals": {"percent_covered": 81.25}}))
    assert house.read_coverage(report) == 81.25

    os.utime(folder / "module.py", (1_000, 1_000))
    assert not house.is_outdated(report, folder)
    os.utime(report, (500, 500))
    assert house.is_outdated(report, folder)


def test_the_written_figures_are_the_ones_asked_for(tmp_path: Path):
    folder = plant(
        tmp_path, {"module.py": branches("c", 11) + branches("d", 21) + "total = 1  # fmt: skip\n"}
    )
    blocks = house.measure_complexity(folder)
    figures = house.make_house(folder, house.measure_density(folder), blocks, [["a", "b"]], 81.249)
    assert asdict(figures) == {
        "top_entries": 1,
        # For each `if`: 5 nodes; for each function 3 nodes besides; `total = 1` is 3.
        "nodes_per_line": round((30 * 5 + 2 * 3 + 3) / 35, 2),
        "comprehensions_per_1000": 0.0,
        "blank_percent": 0.0,
        "participle_percent": 0.0,
        "fmt_skip": 1,
        "radon_c": 1,
        "radon_d_or_worse": 1,
        "cycles": 1,
        "coverage_percent": 81.2,
    }
    printed = list(house.format_figures(figures, 7.25))
    assert printed[0] == "top_entries                      1"
    assert printed[5] == "fmt_skip                         1   models: 0"
    assert len(printed) == 11
