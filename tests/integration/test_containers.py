"""The rules every container of the farm is held to."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from builder.engine import containment
from builder.engine.client import Engine
from builder.engine.compiler_cache import CompilerCache
from builder.engine.services import NetworkAttachment
from builder.engine.tasks import Limits, Task, TaskResult
from builder.host import settings as host
from tests.integration.conftest import Workshop, containers_of

LOOK = """
import json, os, pathlib, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    network = True
except OSError:
    network = False
json.dump({
    "user": os.getuid(), "capabilities": int(status["CapEff"].strip(), 16), "locked": status["NoNewPrivs"].strip(),
    "network": network, "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "host": os.path.exists("/host"), "given": pathlib.Path("/farm/given").read_text(),
}, open("/result/seen.json", "w"))
"""

TRY = """
import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(argument) for argument in arguments])
    return "allowed" if result >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")

def make_socket(*arguments):
    try:
        socket.socket(*arguments).close()
        return "allowed"
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")

status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
answer = {
    "filtered": status["Seccomp"].strip(),
    "calls": {
        "unshare": call(272, 0x10000000), "clone": call(56, 0x10000000 | 17), "setns": call(308, 0, 0),
        "io_uring_setup": call(425, 8, 0), "bpf": call(321, 0, 0, 0), "keyctl": call(250, 0, -3, 1),
        "add_key": call(248, 0, 0, 0, 0, -3), "userfaultfd": call(323, 0), "perf_event_open": call(298, 0, 0, -1, -1, 0),
        "ptrace": call(101, 0, 0, 0, 0), "process_vm_readv": call(310, os.getpid(), 0, 0, 0, 0, 0),
        "mount": call(165, 0, 0, 0, 0, 0), "fsopen": call(430, 0, 0), "pivot_root": call(155, 0, 0),
        "open_by_handle_at": call(304, 0, 0, 0), "init_module": call(175, 0, 0, 0), "kexec_load": call(246, 0, 0, 0, 0),
        "chroot": call(161, 0),
    },
    "sockets": {
        "alg": make_socket(38, socket.SOCK_SEQPACKET), "vsock": make_socket(40, socket.SOCK_STREAM),
        "packet": make_socket(17, socket.SOCK_RAW), "raw": make_socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "sctp": make_socket(socket.AF_INET, socket.SOCK_STREAM, 132),
        "audit": make_socket(16, socket.SOCK_RAW, 9), "netfilter": make_socket(16, socket.SOCK_RAW, 12),
    },
    "kept": {
        "tcp": make_socket(socket.AF_INET, socket.SOCK_STREAM), "udp": make_socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix": make_socket(socket.AF_UNIX, socket.SOCK_STREAM), "routes": make_socket(16, socket.SOCK_RAW, 0),
        "no randomization": call(135, 0x40000), "personality": call(135, 0xFFFFFFFF),
    },
    "addresses of version 6": open("/proc/net/if_inet6").read() if os.path.exists("/proc/net/if_inet6") else "",
    "capabilities": int(status["CapEff"].strip(), 16), "bounding": int(status["CapBnd"].strip(), 16),
}
json.dump(answer, sys.stdout)
"""
"""Tries what gets programs out of containers, or to holes of the kernel, and what they need."""

SUPERVISE = """
import json, os
def capabilities():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    return int(status["CapEff"].strip(), 16)
read, write = os.pipe()
before = capabilities()
child = os.fork()
if not child:
    os.setgroups([]); os.setgid(4242); os.setuid(4242)
    try:
        os.setuid(0)
        regained = True
    except PermissionError:
        regained = False
    os.write(write, json.dumps([os.getuid(), capabilities(), regained]).encode())
    import time; time.sleep(60)
inside = json.loads(os.read(read, 1000))
os.kill(child, 9)
os.waitpid(child, 0)
json.dump({"before": before, "inside": inside}, open("/result/seen.json", "w"))
"""


@pytest.fixture
def image(images: Workshop) -> str:
    import sqlite3

    with sqlite3.connect(images.wheelhouse / "store/ledger.sqlite") as database:
        row = database.execute(
            "SELECT facts FROM evidence WHERE job = 'image:verify-debian-12'"
        ).fetchone()
    database.close()
    return str(json.loads(row[0])["tag"])


def run(
    engine: Engine, tmp_path: Path, image: str, code: str, limits: Limits | None = None
) -> TaskResult:
    task = Task(
        image=image,
        command=["/opt/python/cp314-cp314/bin/python", "-c", code],
        files={"/farm/given": b"a file"},
        collect="/result",
        limits=limits or Limits(),
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert containers_of(engine, engine.farm_id) == []
    return ended


def test_a_task_is_nobody_sees_nothing_and_reaches_nothing(
    engine: Engine, tmp_path: Path, image: str
):
    ended = run(engine, tmp_path, image, LOOK)
    assert ended.exit_code == 0, (tmp_path / "log").read_text()
    assert json.loads(ended.output["result/seen.json"]) == {
        "user": 4242, "capabilities": 0, "locked": "1", "network": False, "interfaces": ["lo"], "host": False,
        "given": "a file",
    }  # fmt: skip


def test_time_memory_and_processes_are_limited(engine: Engine, tmp_path: Path, image: str):
    ended = run(engine, tmp_path, image, "import time; time.sleep(60)", Limits(timeout_s=2))
    assert ended.timed_out
    ended = run(engine, tmp_path, image, "x = b'x' * (1 << 30)", Limits(memory_bytes=64 << 20))
    assert ended.exit_code != 0
    assert "memory-kills=1" in (tmp_path / "log").read_text()
    many = "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    ended = run(engine, tmp_path, image, many, Limits(processes=20))
    assert "can't start new thread" in (tmp_path / "log").read_text()


def test_a_stopped_farm_leaves_nothing(engine: Engine, tmp_path: Path, image: str):
    from builder.errors import Interrupted

    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    task = Task(image=image, command=["sleep", "60"])
    with pytest.raises(Interrupted):
        engine.run(task, log=tmp_path / "log", stop=stop)
    assert containers_of(engine, engine.farm_id) == []


def test_the_reaper_clears_what_was_left(engine: Engine, image: str):
    other = Engine(engine._client, engine.address, "a-farm-that-died")
    engine._client.containers.run(
        image, ["sleep", "60"], detach=True, labels={"wheelfarm.farm": "a-farm-that-died"}
    )
    assert len(containers_of(engine, "a-farm-that-died")) == 1
    assert other.reap() == 1
    assert containers_of(engine, "a-farm-that-died") == []


def check_calls(seen: dict[str, Any], capabilities: int) -> None:
    """Check what the program `TRY` saw."""
    assert seen["filtered"] == "2"
    assert set(seen["calls"].values()) == {"EPERM"}, seen["calls"]
    assert set(seen["sockets"].values()) <= {"EPERM", "EACCES"}, seen["sockets"]
    assert set(seen["kept"].values()) == {"allowed"}, seen["kept"]
    assert seen["addresses of version 6"] == ""
    assert (seen["capabilities"], seen["bounding"]) == (capabilities, capabilities)


def test_no_way_to_the_kernel_but_those_that_programs_need(
    engine: Engine, tmp_path: Path, image: str
):
    to_file = TRY.replace("sys.stdout", 'open("/result/seen.json", "w")')
    ended = run(engine, tmp_path, image, to_file)
    assert ended.exit_code == 0, (tmp_path / "log").read_text()
    check_calls(json.loads(ended.output["result/seen.json"]), 0)


def test_a_container_that_a_tool_starts_is_held_to_the_same(
    engine: Engine, tmp_path: Path, image: str
):
    container = engine.tool_container("a-test-of-arguments", Limits())
    arguments = container.create_arguments(
        NetworkAttachment(network="none", dns_server="127.0.0.1", environment={}),
        CompilerCache(base="debian-12", sdist_sha256="0" * 64, generation="tests"),
    )
    # Docker has no name server for a container without a network.
    arguments = [one for one in arguments if not one.startswith(("--dns", "--log-driver"))]
    command = ["docker", "run", "--rm", *arguments, image, "/opt/python/cp314-cp314/bin/python"]
    try:
        done = subprocess.run(
            [*command, "-c", TRY],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, **engine.command_environment()},
        )
    finally:
        container.remove()
        engine.remove_compiler_caches(())
    assert done.returncode == 0, done.stderr
    check_calls(json.loads(done.stdout), 0)


def test_a_supervisor_can_become_nobody_and_nothing_else(
    engine: Engine, tmp_path: Path, image: str
):
    task = Task(
        image=image,
        command=["/opt/python/cp314-cp314/bin/python", "-c", SUPERVISE],
        collect="/result",
        user="root",
        kind=containment.SUPERVISED,
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert ended.exit_code == 0, (tmp_path / "log").read_text()
    seen = json.loads(ended.output["result/seen.json"])
    kill, setgid, setuid = 1 << 5, 1 << 6, 1 << 7
    assert seen["before"] == kill | setgid | setuid
    assert seen["inside"] == [4242, 0, False]


FILL = """
number = 0
while True:
    number += 1
    with open(f"/result/{number}", "wb") as file:
        for _ in range(16):
            file.write(b"x" * (1 << 20))
"""
FILL_DEEP = """
import os, time
os.chdir("/result")
for _ in range(2500):
    os.mkdir("d"); os.chdir("d"); open("f", "wb").write(b"x" * 100_000)
time.sleep(60)
"""
FILL_WITH_NOTHING = """
import os
for folder in range(1000):
    os.mkdir(f"/result/{folder}")
    for number in range(1000):
        open(f"/result/{folder}/{number}", "wb").close()
"""


@pytest.mark.parametrize(
    ("code", "limits", "word"),
    [
        (FILL, Limits(disk_bytes=200 << 20, timeout_s=60), "MiB in its file system"),
        (FILL_DEEP, Limits(disk_bytes=100 << 20, timeout_s=60), "MiB in its file system"),
        (FILL_WITH_NOTHING, Limits(inodes=30_000, timeout_s=60), "files, of 30000"),
    ],
    ids=["large files", "a folder deeper than any path", "empty files"],
)
def test_who_writes_too_much_is_ended(
    engine: Engine, tmp_path: Path, image: str, code: str, limits: Limits, word: str
):
    task = Task(
        image=image,
        command=["/opt/python/cp314-cp314/bin/python", "-c", code],
        limits=limits,
    )
    ended = engine.run(task, log=tmp_path / "log", stop=threading.Event())
    assert ended.disk_exceeded
    assert word in (ended.disk_excess or "")
    assert not ended.timed_out
    assert containers_of(engine, engine.farm_id) == []


def test_a_sparse_file_has_an_end(engine: Engine, tmp_path: Path, image: str):
    code = "open('/result/sparse', 'wb').truncate(1 << 42)"
    ended = run(engine, tmp_path, image, code)
    assert ended.exit_code != 0
    assert "File too large" in (tmp_path / "log").read_text()


def test_a_password_of_a_proxy_does_not_stay_in_an_image(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
):
    secret = "a-password-of-a-proxy"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", f"http://somebody:{secret}@proxy.invalid:1")
    recipe = f"""
FROM {image}
ARG HOST_ENVIRONMENT
RUN test -n "$https_proxy" && eval env "${{HOST_ENVIRONMENT}}" printenv PIP_CERT
"""
    tag = f"wheelfarm/tests-history:{os.getpid()}"
    try:
        error = engine.images.build(
            tag,
            context={"Dockerfile": recipe.encode()},
            arguments={"HOST_ENVIRONMENT": host.container_assignments()},
            labels={},
            log=lambda _: None,
            stop=threading.Event(),
        )
        assert error is None
        built = engine._client.images.get(tag)
        assert secret not in json.dumps([built.history(), built.attrs])
        assert "PIP_CERT" in json.dumps(built.history())
    finally:
        engine.images.remove([tag])
