"""What leaves a build's container: wheels that were asked for, and nothing else, whatever is in the folder."""

from __future__ import annotations

import inspect
import io
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cibuildwheel import oci_container
from cibuildwheel.errors import FatalError
from cibuildwheel.oci_container import OCIContainer
from cibuildwheel.platforms import linux

from builder.jobs.build import launcher, output
from builder.jobs.build.output import Expectation, RefusedOutputError, take_wheels
from builder.jobs.build.refusal import Request, read_refusal, write_request

PURE = "steady_pkg-1.0-py3-none-any.whl"
EXPECTED = Expectation(name="Steady.Pkg", version="1.0", abis=("cp314", "cp314t"))
GIL = "steady_pkg-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
FREE = "steady_pkg-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"

Entry = tuple[str, bytes, bytes, str]


def file(name: str, content: bytes = b"wheel") -> Entry:
    return f"output/{name}", tarfile.REGTYPE, content, ""


def special(name: str, kind: bytes, target: str = "") -> Entry:
    return f"output/{name}", kind, b"", target


ROOT: Entry = ("output", tarfile.DIRTYPE, b"", "")


def pack(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, len(content), target, 0o6777
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_zeros_take_no_space_on_this_machine(tmp_path: Path):
    """A sparse file of gigabytes takes none in its container, and none of the limit on disk."""
    content = b"one" + bytes(64 << 20) + b"two" + bytes(3 << 20)
    wheels = take_wheels(io.BytesIO(pack(ROOT, file(GIL, content))), tmp_path, EXPECTED)
    assert wheels["cp314"].read_bytes() == content
    assert wheels["cp314"].stat().st_blocks * 512 < 8 << 20


def test_the_limit_is_for_all_wheels_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output, "_MOST_WHEEL_BYTES", 5_000_000)
    archive = pack(ROOT, file(GIL, b"x" * 3_000_000), file(FREE, b"x" * 3_000_000))
    with pytest.raises(RefusedOutputError, match="with it, its wheels have more than"):
        take_wheels(io.BytesIO(archive), tmp_path, EXPECTED)
    assert not list(tmp_path.iterdir())


def test_the_wheels_that_were_asked_for_are_taken(tmp_path: Path):
    archive = pack(ROOT, file(GIL, b"one"), file(FREE, b"two" * 1_000_000))
    wheels = take_wheels(io.BytesIO(archive), tmp_path, EXPECTED)
    assert wheels == {"cp314": tmp_path / GIL, "cp314t": tmp_path / FREE}
    assert wheels["cp314"].read_bytes() == b"one"
    assert wheels["cp314t"].stat().st_size == 3_000_000
    assert not any(path.stat().st_mode & (stat.S_ISUID | 0o111) for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "steady_pkg-1.0-cp312-abi3-manylinux_2_17_x86_64.whl",  # of the stable ABI
        "steady_pkg-1.0-1local-cp314-cp314-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "Steady.Pkg-1.0.0-cp314-cp314-linux_x86_64.whl",  # names as older tools write them
    ],
)
def test_what_honest_builds_call_their_wheels_is_taken(tmp_path: Path, name: str):
    wheels = take_wheels(io.BytesIO(pack(ROOT, file(name))), tmp_path, EXPECTED)
    assert [path.name for path in wheels.values()] == [name]


def test_one_wheel_serves_every_abi_that_takes_it(tmp_path: Path):
    """cibuildwheel makes a library for ctypes once; of the stable ABI alone nothing serves a build without the GIL."""
    library = "steady_pkg-1.0-py3-none-manylinux_2_17_x86_64.whl"
    wheels = take_wheels(io.BytesIO(pack(ROOT, file(library))), tmp_path, EXPECTED)
    assert {abi: path.name for abi, path in wheels.items()} == dict.fromkeys(EXPECTED.abis, library)


ATTACKS: dict[str, list[Entry]] = {
    "link to a file of the host": [special(GIL, tarfile.SYMTYPE, "/etc/passwd")],
    "hard link": [file(GIL), special(FREE, tarfile.LNKTYPE, f"output/{GIL}")],
    "FIFO": [special(GIL, tarfile.FIFOTYPE)],
    "device": [special(GIL, tarfile.BLKTYPE)],
    "folder": [special("more", tarfile.DIRTYPE)],
    "in a folder": [file(f"more/{GIL}")],
    "outside": [(f"output/../{GIL}", tarfile.REGTYPE, b"x", "")],
    "absolute": [(f"/{GIL}", tarfile.REGTYPE, b"x", "")],
    "no wheel": [file("notes.txt")],
    "hidden": [file(f".{GIL}")],
    "of another project": [file(GIL.replace("steady_pkg", "numpy"))],
    "of another version": [file(GIL.replace("1.0", "1.1"))],
    "of a local version": [file(GIL.replace("1.0", "1.0+evil"))],
    "second for one ABI": [file(GIL), file(GIL.replace("_17_", "_28_"))],
    "the same twice": [file(GIL), file(GIL)],
    "build tag that leads out": [file("steady_pkg-1.0-1..%2f-cp314-cp314-linux_x86_64.whl")],
    "newline": [file(GIL.replace("manylinux", "many\nlinux"))],
    "name of a page": [file(f"{GIL[:-4]}{'a' * 250}.whl")],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_anything_else_is_refused_with_all_there_is(tmp_path: Path, name: str):
    with pytest.raises(RefusedOutputError) as refused:
        take_wheels(io.BytesIO(pack(ROOT, *ATTACKS[name])), tmp_path, EXPECTED)
    assert str(refused.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("of another project", "WF215"), ("of another version", "WF215"), ("FIFO", "WF216")],
)
def test_a_wheel_of_another_package_is_told_from_the_rest(tmp_path: Path, name: str, code: str):
    with pytest.raises(RefusedOutputError) as refused:
        take_wheels(io.BytesIO(pack(ROOT, *ATTACKS[name])), tmp_path, EXPECTED)
    assert refused.value.refusal.code == code


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path):
    archive = pack(("output", tarfile.SYMTYPE, b"", "/"))
    with pytest.raises(RefusedOutputError, match="no folder"):
        take_wheels(io.BytesIO(archive), tmp_path, EXPECTED)
    with pytest.raises(RefusedOutputError):
        take_wheels(io.BytesIO(b""), tmp_path, EXPECTED)


class Endless(io.RawIOBase):
    """The archive of a sparse file: its header, and zeros for as long as anybody reads."""

    def __init__(self, size: int) -> None:
        info = tarfile.TarInfo(f"output/{GIL}")
        info.size = size
        root = tarfile.TarInfo("output")
        root.type = tarfile.DIRTYPE
        self._left = root.tobuf(tarfile.GNU_FORMAT) + info.tobuf(tarfile.GNU_FORMAT)
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        chunk = (self._left + bytes(size))[:size]
        self._left = self._left[size:]
        self.given += size
        return chunk


def test_a_file_of_terabytes_is_refused_before_it_is_read(tmp_path: Path):
    stream = Endless(1 << 40)
    with pytest.raises(RefusedOutputError, match="more than 4 GiB"):
        take_wheels(cast("Any", stream), tmp_path, EXPECTED)
    assert stream.given < 1 << 20


def test_an_archive_that_is_cut_off_leaves_no_half_wheel(tmp_path: Path):
    archive = pack(ROOT, file(GIL, b"x" * 100_000))[:50_000]
    with pytest.raises(RefusedOutputError, match="cannot be read"):
        take_wheels(io.BytesIO(archive), tmp_path, EXPECTED)
    assert list(tmp_path.iterdir()) == []


# --- in the place of cibuildwheel's own ---------------------------------------------------------------------------------


def make_engine(folder: Path, archive: bytes, *, knows: bool = True, code: int = 0) -> str:
    """Make a program that is asked like an engine: it gives an archive, and may know no container."""
    (folder / "archive").write_bytes(archive)
    program = folder / "engine"
    program.write_text(
        f"#!/bin/sh\n[ $1 = cp ] && {{ cat {folder}/archive; exit {code}; }}\n"
        f"[ $1 = container ] && exit {0 if knows else 1}\nexit 9\n"
    )
    program.chmod(0o755)
    return str(program)


def take(engine: str, target: Path) -> None:
    container = cast("Any", SimpleNamespace(name="c", engine=SimpleNamespace(name=engine)))
    launcher.take_output(container, PurePosixPath("/output"), target, EXPECTED)


def test_wheels_are_taken_from_the_engines_archive(tmp_path: Path):
    take(make_engine(tmp_path, pack(ROOT, file(GIL)) + bytes(20_000)), tmp_path / "wheels")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [GIL]


def test_what_is_refused_is_the_packages_fault_only_while_the_engine_answers(tmp_path: Path):
    archive = pack(ROOT, file("evil"))
    with pytest.raises(RefusedOutputError):
        take(make_engine(tmp_path, archive), tmp_path / "wheels")
    with pytest.raises(subprocess.CalledProcessError):
        take(make_engine(tmp_path, archive, knows=False), tmp_path / "wheels")
    with pytest.raises(RefusedOutputError):  # the folder is gone
        take(make_engine(tmp_path, b"", code=1), tmp_path / "wheels")
    with pytest.raises(subprocess.CalledProcessError):
        take(make_engine(tmp_path, b"", code=1, knows=False), tmp_path / "wheels")


def test_the_launcher_notes_why_it_refused_where_no_container_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """cibuildwheel's own copying is replaced: what it is told to copy comes through the door."""
    answer = tmp_path / "answer.json"
    request = Request(expected=EXPECTED, answer=answer, output=tmp_path / "wheels")
    write_request(tmp_path / "request.json", request)
    engine = make_engine(tmp_path, pack(ROOT, special(GIL, tarfile.FIFOTYPE)))

    def main() -> None:
        container = OCIContainer(image="i", oci_platform=cast("Any", None))
        container.name, container.engine = "c", cast("Any", SimpleNamespace(name=engine))
        container.copy_out(PurePosixPath("/output"), tmp_path / "wheels")

    monkeypatch.setattr(sys, "argv", ["launcher", str(tmp_path / "request.json")])
    for name in ("copy_out", "call", "__enter__"):
        monkeypatch.setattr(OCIContainer, name, getattr(OCIContainer, name))  # put back afterwards
    monkeypatch.setattr("cibuildwheel.__main__.main", main)
    with pytest.raises(FatalError, match="refused"):
        launcher.main()
    refusal = read_refusal(answer)
    assert refusal is not None
    assert "no regular file" in refusal.reason
    assert read_refusal(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("built", "takes_pure"),
    [(PURE, True), (PURE, False), (GIL, True)],
)
def test_a_pure_wheel_is_taken_as_it_is_built_where_the_package_is_pure(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    built: str,
    takes_pure: bool,  # noqa: FBT001 - a parameter of the test
):
    """cibuildwheel would end with an error there; any other wheel goes on to be repaired."""
    folder = tmp_path / "wheels"
    expected = replace(EXPECTED, takes_pure=takes_pure)
    request = Request(expected=expected, answer=tmp_path / "answer.json", output=folder)
    write_request(tmp_path / "request.json", request)
    engine = make_engine(tmp_path, pack(ROOT, file(built)))

    def main() -> None:
        container = OCIContainer(image="i", oci_platform=cast("Any", None))
        container.name, container.engine = "c", cast("Any", SimpleNamespace(name=engine))
        assert container.glob(PurePosixPath("/other"), "*.whl") == [PurePosixPath(built)]
        assert container.glob(PurePosixPath("/tmp/cibuildwheel/built_wheel"), "*.whl")

    monkeypatch.setattr(sys, "argv", ["launcher", str(tmp_path / "request.json")])
    for name in ("copy_out", "call", "__enter__"):
        monkeypatch.setattr(OCIContainer, name, getattr(OCIContainer, name))  # put back afterwards
    calls: list[list[str]] = []

    def call(container: OCIContainer, args: list[object], *_: object) -> str:
        assert container.name == "c"
        calls.append([str(argument) for argument in args])
        return ""

    monkeypatch.setattr(launcher, "bound_containers", lambda: None)
    monkeypatch.setattr(OCIContainer, "call", call)
    monkeypatch.setattr(OCIContainer, "glob", lambda *_: [PurePosixPath(built)])
    monkeypatch.setattr("cibuildwheel.__main__.main", main)

    if takes_pure and built == PURE:
        with pytest.raises(SystemExit) as ended:
            launcher.main()
        assert ended.value.code == 0
        assert [path.name for path in folder.iterdir()] == [PURE]
        # uv leaves a `.gitignore` beside it, which is no wheel.
        assert calls == [["mkdir", "-p", "/output"], ["mv", PURE, "/output"]]
    else:
        launcher.main()
        assert not folder.exists()


def test_cibuildwheel_looks_for_built_wheels_where_the_launcher_waits_for_them():
    source = inspect.getsource(linux.build_in_container)
    assert 'temp_dir = PurePosixPath("/tmp/cibuildwheel")' in source
    assert 'built_wheel_dir = temp_dir / "built_wheel"' in source
    assert 'container.glob(built_wheel_dir, "*.whl")' in source


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[OCIContainer]:
    """Give a container whose shell is one of this machine's, as cibuildwheel holds it after it was started."""
    for name in ("call", "__enter__"):
        monkeypatch.setattr(OCIContainer, name, getattr(OCIContainer, name))
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        container = OCIContainer(image="i", oci_platform=cast("Any", None))
        assert process.stdin is not None
        assert process.stdout is not None

        def enter(self: OCIContainer) -> OCIContainer:
            self.bash_stdin, self.bash_stdout = process.stdin, process.stdout  # type: ignore[assignment]
            return self

        monkeypatch.setattr(OCIContainer, "__enter__", enter)
        launcher.bound_containers()
        yield container.__enter__()
        process.kill()


@pytest.mark.parametrize("size", [0, 1, 65_400, 65_500, 65_536, 65_600, 131_000, 131_072, 200_000])
def test_a_command_that_prints_one_long_line_ends_where_it_should(
    shell: OCIContainer, size: int, capfd: pytest.CaptureFixture[str]
):
    """Wherever the line is cut, the mark of the command's end is found; a hang would be for ever."""
    for extra in range(0, 60, 7):
        text = f"head -c {size + extra} /dev/zero | tr '\\0' x"
        assert len(shell.call(["sh", "-c", text], capture_output=True)) == size + extra
    with pytest.raises(subprocess.CalledProcessError):
        shell.call(["sh", "-c", f"{text}; exit 3"])
    assert capfd.readouterr().out.count("x") >= size


def test_an_endless_answer_is_cut_and_an_endless_line_is_passed_on_in_pieces(shell: OCIContainer):
    with pytest.raises(FatalError, match="far more"):
        shell.call(["sh", "-c", "tr '\\0' x < /dev/zero"], capture_output=True)
    pipe = cast("launcher.BoundedPipe", shell.bash_stdout)
    pipe.limit(None)
    assert all(0 < len(pipe.readline()) <= 66_000 for _ in range(100))


def test_cibuildwheel_takes_files_out_of_containers_in_one_way_only():
    """A newer cibuildwheel that has another way must not pass by our door."""
    source = inspect.getsource(oci_container)
    assert source.count('"cp"') == 1
    assert '"cp"' in inspect.getsource(OCIContainer.copy_out)
    assert not {"export", "commit", "save"} & set(source.split('"'))
    # The other copy is for an audit, which the farm's configuration turns off.
    assert inspect.getsource(linux).count("copy_out(") == 2
    assert list(inspect.signature(OCIContainer.copy_out).parameters) == [
        "self",
        "from_path",
        "to_path",
    ]


@pytest.mark.parametrize(
    ("abis", "tags"),
    [
        (("cp314", "cp314t"), "cp313-cp313"),
        (("cp314t",), "cp314-cp314"),
        (("cp314t",), "cp312-abi3"),
        (("cp314",), "cp313-cp314"),
    ],
)
def test_a_wheel_that_no_interpreter_takes_is_refused(
    tmp_path: Path, abis: tuple[str, ...], tags: str
):
    """It would be loaded nowhere, and a merge of shards would be refused because of it."""
    expected = Expectation(name="Steady.Pkg", version="1.0", abis=abis)
    stream = io.BytesIO(pack(ROOT, file(f"steady_pkg-1.0-{tags}-manylinux_2_17_x86_64.whl")))
    with pytest.raises(RefusedOutputError, match="no wheel for"):
        take_wheels(stream, tmp_path, expected)
    assert list(tmp_path.iterdir()) == []
