import pytest

from tests.unit.inside.stress.sanitizer.sanitizer_reports import BUMP, CALL, OURS, PEEK, only, race


@pytest.mark.parametrize(
    ("frame", "location"),
    [
        (BUMP, ("src/fast.c", 41, "bump")),
        (f"(/opt/site/{OURS}+0x1) f(int) /tmp/project/fast-1.0/a/b/c.cc:7", ("a/b/c.cc", 7, "f")),
        (
            f"(/opt/site/{OURS}+0x1) f /tmp/project/fast-1.0/build/../src/c.c:7:1",
            ("src/c.c", 7, "f"),
        ),
        (f"(/opt/site/{OURS}+0x1) f /usr/include/c++/12/bits/c.h:7:1", ("bits/c.h", 7, "f")),
        (f"(/opt/site/{OURS}+0x1) f <null>", (OURS, 0, "f")),
    ],
)
def test_where_an_access_is(frame: str, location: tuple[str, int, str]):
    attribution = only(race((frame, CALL), (PEEK,)))
    assert attribution["locations"] == [location, ("src/fast.c", 58, "peek")]


@pytest.mark.parametrize(
    ("function", "place"),
    [
        ("(anonymous namespace)::grow(int)", "grow (pool.cpp)"),
        (
            "pool::(anonymous namespace)::grow(std::vector<int, std::allocator<int> >&, int)",
            "pool::grow (pool.cpp)",
        ),
        ("pool::Pool::size() const", "pool::Pool::size (pool.cpp)"),
    ],
)
def test_names_of_cpp(function: str, place: str):
    frame = f"(/opt/site/{OURS}+0x77) {function} /tmp/project/pool-2/src/pool.cpp:7:3"
    assert place in only(race((frame, CALL), (PEEK,)))["places"]


def test_without_debug_information_the_module_names_the_place():
    assert only(race((f"(/opt/site/{OURS}+0x77) bump <null>",), (PEEK,)))["places"] == [
        f"bump ({OURS})",
        "peek (fast.c)",
    ]
