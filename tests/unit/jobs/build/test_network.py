import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from builder.jobs.build import network
from builder.jobs.build.failure import Failure
from builder.jobs.build.log import FailedCall, reread_failure

FAILURE = Failure(
    code="WF201", stage="building wheel", error="HTTP Error 403: Forbidden", remedy="see the log"
)


@pytest.mark.parametrize(
    ("log", "hosts"),
    [
        ("gcc: error: unrecognised option\n", ()),
        ("curl: (6) Could not resolve host: files.example\n", ("files.example",)),
        ("fatal: unable to access 'https://git.example/a.git/': Could not resolve host: git.example\n", ("git.example",)),
        (
            "HTTPSConnectionPool(host='files.example', port=443): Max retries exceeded: Temporary failure in name resolution\n",
            ("files.example",),
        ),
        (
            '    socket.create_connection(("10.9.8.7", 80), 5)\nOSError: [Errno 113] No route to host\n',
            ("10.9.8.7",),
        ),
        (
            "downloading http://10.9.8.7:8080/a.tar.gz\nurlopen error [Errno 101] Network is unreachable\n",
            ("10.9.8.7:8080",),
        ),
        ("index at http://172.19.0.2:8314/token/simple/\nOSError: [Errno 113] No route to host\n", (network.UNKNOWN_HOST,)),
    ],
)  # fmt: skip
def test_hosts_are_read_from_a_log_where_nobody_was_asked(log: str, hosts: tuple[str, ...]):
    assert network.find_unreachable_hosts(log, "172.19.0.2") == hosts


def test_a_failure_of_a_build_that_asked_for_more_is_told_apart():
    told = network.add_blocked_hosts(FAILURE, ["files.example:443"], "foo")
    assert told.code == "WF213"
    assert "asked for files.example:443" in told.error
    assert "HTTP Error 403" in told.error
    assert "[packages.foo]" in told.remedy


def test_a_certain_cause_stands_whatever_else_was_asked_for():
    assert network.add_blocked_hosts(FAILURE, [], "foo") is FAILURE
    slow = Failure(code="WF203", stage="building wheel", error="did not end", remedy="")
    assert network.add_blocked_hosts(slow, ["files.example"], "foo") is slow
    assert network.is_certain(slow)
    crate = Failure(code="WF225", stage="building wheel", error="no crate tiny", remedy="")
    assert network.add_blocked_hosts(crate, ["registry.example:443"], "foo") is crate
    assert not network.is_certain(crate)
    assert not network.is_certain(FAILURE)


def test_a_log_that_is_read_anew_still_names_the_hosts(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(
        "Building cp314-manylinux_x86_64 wheel\nurllib.error.HTTPError: HTTP Error 403: Forbidden\n"
    )
    call = FailedCall(
        abis=("cp314",), exit_code=1, log=(0, log.stat().st_size), timeout_s=None, memory_bytes=None, processes=None,
        asked=("files.example",), index="172.19.0.2",
    )  # fmt: skip
    recorded = json.loads(json.dumps({"failure": asdict(FAILURE), "call": asdict(call)}))
    failure = reread_failure(recorded, log, "foo")["failure"]
    assert failure["code"] == "WF213"
    assert "asked for files.example" in failure["error"]


def test_a_rust_that_was_not_to_be_had_is_told_also_of_a_log_that_is_read_anew(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(
        "Building cp314-manylinux_x86_64 wheel\n"
        "error: rustc 1.96.0 is not supported by the following package:\n  foo@1.0.0 requires rustc 1.998\n"
    )
    call = FailedCall(
        abis=("cp314",), exit_code=1, log=(0, log.stat().st_size), timeout_s=None, memory_bytes=None, processes=None,
        lacking=("http://rust.invalid/dist/channel-rust-1.998.0.toml answered 404",),
    )  # fmt: skip
    recorded = json.loads(json.dumps({"failure": asdict(FAILURE), "call": asdict(call)}))
    failure = reread_failure(recorded, log, "foo")["failure"]
    assert failure["error"].endswith(
        "foo@1.0.0 requires rustc 1.998; a newer Rust was asked for and not had: "
        "http://rust.invalid/dist/channel-rust-1.998.0.toml answered 404"
    )
    assert "`WHEELFARM_RUSTUP_DIST_SERVER`" in failure["remedy"]


PYZMQ = """\
--   No package 'libzmq' found
-- Looking for libzmq - libzmq not found, will bundle libzmq and libsodium
   dst='/project/build/_deps/bundled_libsodium-subbuild/x.tar.gz'
-- Using src='https://files.example/download/1.0.20-RELEASE/libsodium-1.0.20.tar.gz'
"""


@pytest.mark.parametrize(
    ("log", "libraries"),
    [
        (PYZMQ, (("pkg-config", "libzmq"), ("dependency", "libsodium"))),
        ("Run-time dependency flexiblas found: NO (tried pkgconfig and cmake)\n", (("dependency", "flexiblas"),)),
        ("Cloning into '/tmp/build/zstd'...\n", (("dependency", "zstd"),)),
        ("urlopen https://files.example/snappy_1.1.10.zip failed\n", (("dependency", "snappy"),)),
        ("-- Looking for kqueue - not found\nhttps://files.example/readme.html\n", ()),
    ],
)  # fmt: skip
def test_what_a_build_fetches_is_read_from_its_log(log: str, libraries: tuple[Any, ...]):
    assert network.find_fetched_libraries(log) == libraries


def test_a_build_that_fetches_a_library_names_it_to_be_looked_up_on_the_system():
    failure = network.add_blocked_hosts(FAILURE, ["files.example"], "pyzmq", PYZMQ)
    assert ("dependency", "libsodium") in failure.missing
    assert "FETCHCONTENT_TRY_FIND_PACKAGE_MODE=ALWAYS" in failure.remedy


def test_a_log_of_addresses_without_end_is_read_within_bounds():
    line = "http://" + "/a-1" * 900 + " not found, will y\n"
    counted = network.find_fetched_libraries(line * 5000)
    assert counted == ()
