from builder.inside.stress.sanitizer.attribution import attribute
from builder.inside.stress.sanitizer.reports import Report, parse
from tests.unit.inside.stress.sanitizer.sanitizer_reports import (
    BUMP,
    CALL,
    EVAL,
    MODULES,
    PEEK,
    race,
)


def test_several_reports_and_what_stands_between_them():
    written = (
        "garbage\n"
        + race((BUMP,), (PEEK,))
        + "a line of the program\n"
        + race((EVAL,), (CALL,))
        + "EXCEPTION: no\n"
    )
    assert [attribute(one, MODULES)["owner"] for one in parse(written)] == [
        "package",
        "interpreter",
    ]
    assert list(parse("")) == []
    assert list(parse("==================\nsomething else\n==================\n")) == []


def test_a_report_may_end_anywhere():
    whole = race((BUMP, CALL), (PEEK, CALL))
    for end in range(len(whole)):
        for report in parse(whole[:end]):
            assert attribute(report, MODULES)["owner"] in {"package", "interpreter"}


def test_reports_of_forked_processes_that_say_the_same_are_read_once():
    one = race((BUMP, CALL, EVAL), (PEEK, CALL))
    again = one.replace("(pid=", "(pid=1").replace("0x7", "0x9").replace("thread T", "thread T1")
    other = race((BUMP, CALL), (PEEK, CALL))
    known: dict[str, Report] = {}

    (first,) = parse(one, known)
    (second,) = parse(again, known)
    (third,) = parse(other, known)

    assert again != one
    assert second is first
    assert third is not first
