"""Attacks by metadata and by the answers of an index: no code of a package is run yet.

Each has a run of its own, in which the package is resolved, judged and reported; see ../offline.py.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable

from builder.store.job_ids import JobKind
from builder.store.store import Store
from tests.hostile.attack import Attack, Site, World
from tests.hostile.sdists import (
    Member,
    RawZipMember,
    gzip_of_zeros,
    lzma_bomb,
    make_raw_zip,
    make_sdist,
    make_wheel,
    make_zip,
    metadata,
    stored,
    tar_header,
    wheel_filename,
    zip_of_countless_members,
)
from tests.hostile.server import drip, flood

Make = Callable[[Site], str]

FAILS = ("build-failure",)
"""The package's own fault was found before anything was built."""

FAILS_OR_BUILDS = ("build-failure", "compatible", "undetermined")
"""The odd metadata may also be passed over: the wheel itself is what is judged."""

NO_ANSWER = ("build-failure", "undetermined")
"""The index gave nothing that could be used."""

_HUGE_LINES = b"Requires-Dist: a\n" * 480_000
"""Eight megabytes of requirements, which are gigabytes once each is an object."""


# --- sdists -----------------------------------------------------------------------------------------------------------


def sdist(*lines: str, pyproject: bytes = b"", version: str = "1.0") -> Make:
    """Return a maker of a local sdist with further lines in PKG-INFO, and a pyproject.toml."""

    def make(site: Site) -> str:
        files = {"PKG-INFO": metadata(site.name, *lines, version=version)}
        if pyproject:
            files["pyproject.toml"] = pyproject
        return write_sdist(site, make_sdist(site.name, files))

    return make


def write_sdist(site: Site, content: bytes, ending: str = "tar.gz") -> str:
    """Write the package's sdist beside the matrix and return its table."""
    filename = f"{site.name}-1.0.{ending}"
    (site.folder / filename).write_bytes(content)
    return f'sdist = "{filename}"'


def zip_sdist(*members: Callable[[str], RawZipMember]) -> Make:
    """Return a maker of an sdist that is a zip: an honest PKG-INFO, then members below the top-level folder."""

    def make(site: Site) -> str:
        root = f"{site.name}-1.0"
        honest = stored(f"{root}/PKG-INFO", metadata(site.name))
        content = make_raw_zip([honest, *(member(root) for member in members)])
        return write_sdist(site, content, "zip")

    return make


def encrypted_pyproject(root: str) -> RawZipMember:
    return RawZipMember(name=f"{root}/pyproject.toml".encode(), flags=1, data=bytes(20), size=8)


def damaged_pyproject(root: str) -> RawZipMember:
    return RawZipMember(
        name=f"{root}/pyproject.toml".encode(), method=8, crc=1, data=b"\xff" * 40, size=60
    )


def make_metadata_bomb(site: Site) -> str:
    content = make_raw_zip([lzma_bomb(f"{site.name}-1.0/PKG-INFO")])
    return write_sdist(site, content, "zip")


def make_countless_zip(site: Site) -> str:
    honest = stored(f"{site.name}-1.0/PKG-INFO", metadata(site.name))
    return write_sdist(site, zip_of_countless_members(2_000_000, honest), "zip")


def make_countless_tar(site: Site) -> str:
    """A million empty files before PKG-INFO."""
    header = tar_header(f"{site.name}-1.0/a", b"0", 0)
    block = gzip.compress(header * 10_000, 1, mtime=0)
    return write_sdist(site, block * 100)


def make_endless_name(site: Site) -> str:
    """A GNU long name of 1 GiB, which a reader of tars takes into memory."""
    size = 1 << 30
    header = gzip.compress(tar_header("././@LongLink", b"L", size), mtime=0)
    return write_sdist(site, header + gzip_of_zeros(size))


def make_huge_tar(site: Site) -> str:
    """A member that says it has 100 GiB, and has three."""
    header = gzip.compress(tar_header(f"{site.name}-1.0/zeros", b"0", 100 << 30), mtime=0)
    return write_sdist(site, header + gzip_of_zeros(3 << 30))


def make_odd_pax(site: Site) -> str:
    numbers = {"mtime": "nan", "uid": "9" * 5000, "size": "0x10"}
    odd = Member(f"{site.name}-1.0/odd", pax=numbers)
    return write_sdist(site, make_sdist(site.name, {}, odd))


def make_bytes_in_names(site: Site) -> str:
    lines = (
        b"Name: " + site.name.encode() + b"\nVersion: 1.0\nSummary: \xff\xfe\xed\xa0\x80\n",
        b"Requires-Dist: \xff\n",
    )
    return write_sdist(
        site, make_sdist(site.name, {"PKG-INFO": b"Metadata-Version: 2.2\n" + b"".join(lines)})
    )


# --- upstream's wheels, and applications ------------------------------------------------------------------------------

_NATIVE_TAG = "cp314-cp314-manylinux_2_17_x86_64"
_TAKES_WHEEL = 'from = "wheel"'
_LETTERS = ".".join(f"a{number}" for number in range(400))
"""A set of tags (PEP 425): three of these in one name are 64 million."""


def serve_native(
    content: Callable[[Site], bytes], tag: str = _NATIVE_TAG, sha256: str = ""
) -> Make:
    """Return a maker of a wheel of upstream's for the ABI, which is taken as it is.

    Args:
        content: makes the file.
        tag: in its name.
        sha256: what the page says of it; empty for the truth.
    """

    def make(site: Site) -> str:
        link = site.index.file(wheel_filename(site.name, tag), content(site))
        if sha256:
            truth = link.partition("sha256=")[2][: len(sha256)]
            link = link.replace(truth, sha256)
        site.index.page(site.name, link)
        return _TAKES_WHEEL

    return make


def honest_native(site: Site) -> bytes:
    return make_wheel(site.name, tag=_NATIVE_TAG)


def wheel_of_another(_: Site) -> bytes:
    return make_wheel("neighbour", tag=_NATIVE_TAG)


def wheel_that_leads_out(site: Site) -> bytes:
    """A wheel with members that lead to the host's folder, by every way there is."""
    outside = str(site.stolen)
    files = {f"{site.name}.py": b"", outside: b"x", f"{'../' * 40}{outside.lstrip('/')}": b"x"}
    return make_wheel(site.name, tag=_NATIVE_TAG, files=files)


def wheel_with_a_metadata_bomb(site: Site) -> bytes:
    return make_raw_zip([lzma_bomb(f"{site.name.replace('-', '_')}-1.0.dist-info/METADATA")])


def wheel_that_wants_the_host(site: Site) -> bytes:
    line = f"Requires-Dist: stolen @ file://{site.secret}"
    return make_wheel(site.name, line, tag=_NATIVE_TAG)


def is_nothing_written(world: World) -> None:
    """Check that nothing of the wheel went where its members lead."""
    assert not world.site.stolen.exists()


def application_that_links_out(*, folder: bool) -> Make:
    """Return a maker of an application whose files are a link to the host's: to its secret, or to its folder."""

    def make(site: Site) -> str:
        (site.folder / "requirements.txt").write_text("steady==1.0\n")
        outside = site.folder.parent / "outside"
        outside.mkdir()
        shutil.copy(site.secret, outside)
        (site.folder / "leak").symlink_to(outside if folder else outside / site.secret.name)
        table = serve_native(honest_native)(site)
        return f'{table}\n[applications.shop]\nlock = "requirements.txt"\nfiles = ["leak"]'

    return make


# --- index answers ----------------------------------------------------------------------------------------------------


def serve_wheel(content: Callable[[Site], bytes]) -> Make:
    """Return a maker of a pure wheel on the index, with its right hash."""

    def make(site: Site) -> str:
        filename = wheel_filename(site.name)
        site.index.page(site.name, site.index.file(filename, content(site)))
        return ""

    return make


def serve_entry(**changed: object) -> Make:
    """Return a maker of an honest wheel whose entry on a JSON page says something else; `{...}` are filled in."""

    def make(site: Site) -> str:
        content = make_wheel(site.name)
        filename = wheel_filename(site.name)
        site.index.file(filename, content)
        entry: dict[str, object] = {
            "filename": filename,
            "url": f"{site.index.url}files/{filename}",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
        }
        for key, value in changed.items():
            entry[key] = fill(value, site)
        site.index.json_page(site.name, [entry])
        return ""

    return make


def fill(value: object, site: Site) -> object:
    """Put the site's paths into a text, or into the texts of a mapping."""
    if isinstance(value, dict):
        return {key: fill(item, site) for key, item in value.items()}
    if isinstance(value, str):
        return (
            value.replace("{secret}", str(site.secret))
            .replace("{host}", str(site.host))
            .replace("{up}", "../" * 40 + str(site.host).lstrip("/"))
            .replace("{name}", site.name)
            .replace("{file}", wheel_filename(site.name))
        )
    return value


def make_other_project(site: Site) -> str:
    """The page of one project lists a newer wheel of its neighbour."""
    content = make_wheel("neighbour", files={"neighbour.py": b"VALUE = 'replaced'\n"})
    site.index.page(site.name, site.index.file("neighbour-9.0-py3-none-any.whl", content))
    return ""


def make_redirect(site: Site) -> str:
    """A file that is redirected to a service of this machine."""
    filename = wheel_filename(site.name)
    link = site.index.file(filename, make_wheel(site.name))
    site.index.redirect(f"/files/{filename}", site.index.service.url)
    site.index.page(site.name, link)
    return ""


def make_page_redirect(site: Site) -> str:
    """A project page that is redirected to a service of this machine."""
    site.index.redirect(f"/{site.name}/", site.index.service.url)
    return ""


def link_to(address: str) -> Make:
    """Return a maker of a page whose link leads to an address; `{port}` is that of a service of this machine."""

    def make(site: Site) -> str:
        filename = wheel_filename(site.name)
        site.index.page(site.name, f'<a href="{_fill_port(address, site)}">{filename}</a>')
        return ""

    return make


def redirect_to(address: str, suffix: str = "") -> Make:
    """Return a maker of an honest wheel that is redirected to an address.

    Args:
        address: where to; `{port}` is that of a service of this machine.
        suffix: `.metadata` for the metadata beside the wheel (PEP 658), empty for the wheel itself.
    """

    def make(site: Site) -> str:
        filename = wheel_filename(site.name)
        link = site.index.file(filename, make_wheel(site.name))
        site.index.redirect(f"/files/{filename}{suffix}", _fill_port(address, site))
        site.index.page(site.name, link.replace("<a ", '<a data-core-metadata="true" '))
        return ""

    return make


def with_names(make: Make, **names: list[str]) -> Make:
    """Return a maker with hosts `NAME.invalid`, which have these addresses, each time the next one."""

    def place(site: Site) -> str:
        site.machine["names"] = {f"{name}.invalid": addresses for name, addresses in names.items()}
        return make(site)

    return place


def _fill_port(address: str, site: Site) -> str:
    return address.replace("{port}", site.index.service.url.rstrip("/").rpartition(":")[2])


_PUBLIC = "192.88.99.1"
"""An address that is public by its number and nobody's (RFC 7526). Nothing connects to it: see ../machine.py."""

_HIDDEN_ADDRESSES = {
    "link-to-this-machine": "http://127.0.0.1:{port}/",
    "link-by-a-number": "http://2130706433:{port}/",
    "link-by-octal-numbers": "http://0177.1:{port}/",
    "link-to-nowhere": "http://0:{port}/",
    "link-to-nowhere-by-ipv6": "http://[::]:{port}/",
    "link-by-mapped-ipv6": "http://[::ffff:7f00:1]:{port}/",
    "link-without-a-scheme": "//127.0.0.1:{port}/",
    "link-by-a-local-name": "http://LOCALHOST.:{port}/",
    "link-to-link-local": "http://169.254.169.254/x.whl",
    "link-local-by-a-number": "http://2852039166/x.whl",
    "link-local-by-nat64": "http://[64:ff9b::a9fe:a9fe]/x.whl",
    "link-local-by-ipv6": "http://[fe80::1%25lo]/x.whl",
    "link-local-by-a-name": "http://metadata.invalid/x.whl",
}
"""Links to this machine, and to link-local addresses, where clouds tell a machine its credentials, by attack."""


def check_service_was_not_asked(world: World) -> None:
    """Neither a service of this machine was asked nor one that its network has for this machine alone."""
    assert world.site.index.service.asked == [], "a service of this machine was asked"
    connections = set(world.site.connections.read_text().split())
    assert connections <= {_PUBLIC}, f"connections to {sorted(connections)}"


def check_neighbour_is_its_own(world: World) -> None:
    assert set(world.served("neighbour")) == {"index.html", wheel_filename("neighbour")} | {
        name for name in world.served("neighbour") if name.endswith(".metadata")
    }, f"neighbour has {sorted(world.served('neighbour'))}"


def page_answer(kind: str, **headers: str) -> Make:
    """Return a maker of a project page with 1.5 GiB of zeros."""

    def make(site: Site) -> str:
        site.index.answer(f"/{site.name}/", flood(site.index, kind, 1536 << 20, **headers))
        return ""

    return make


def make_gzip_page(site: Site) -> str:
    """Two megabytes that a client unpacks to 2 GiB."""
    site.index.body(f"/{site.name}/", gzip_of_zeros(2 << 30), Content_Encoding="gzip")
    return ""


def make_deep_page(site: Site) -> str:
    text = (
        b'{"meta":{"api-version":"1.0"},"name":"x","files":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}"
    )
    site.index.body(f"/{site.name}/", text, "application/vnd.pypi.simple.v1+json")
    return ""


def make_slow_page(site: Site) -> str:
    page = drip(site.index, "text/html", b"<html>", b" ", 0.5)
    site.index.answer(f"/{site.name}/", page)
    return ""


def make_slow_file(site: Site) -> str:
    filename = wheel_filename(site.name)
    link = site.index.file(filename, make_wheel(site.name))
    site.index.answer(f"/files/{filename}", drip(site.index, "application/zip", b"PK", b"\0", 0.5))
    site.index.page(site.name, link)
    return ""


def make_metadata_flood(site: Site) -> str:
    """Metadata beside a wheel (PEP 658) without end."""
    filename = wheel_filename(site.name)
    link = site.index.file(filename, make_wheel(site.name)).replace(
        "<a ", '<a data-core-metadata="true" '
    )
    site.index.answer(f"/files/{filename}.metadata", flood(site.index, "text/plain", 1536 << 20))
    site.index.page(site.name, link)
    return ""


def make_version_of_digits(site: Site) -> str:
    content = make_sdist(site.name, {"PKG-INFO": metadata(site.name, standard="2.x")})
    site.index.page(site.name, site.index.file(f"{site.name}-1.0.tar.gz", content))
    return ""


def make_wrong_hash(site: Site) -> str:
    filename = wheel_filename(site.name)
    link = site.index.file(filename, make_wheel(site.name))
    site.index.file(filename, make_wheel(site.name, "Summary: replaced"))
    site.index.page(site.name, link)
    return ""


def make_many_links(site: Site) -> str:
    """A page of 300,000 files, each of another release."""
    links = "".join(
        f'<a href="/files/{site.name}-{n}.tar.gz">{site.name}-{n}.tar.gz</a>'
        for n in range(300_000)
    )
    site.index.page(site.name, links)
    return ""


_TEN_YEARS_S = 10 * 365 * 86_400


def make_released_in_the_future(site: Site) -> str:
    """A release that the index has while the clock is ten years ahead."""
    site.machine["clock_s"] = _TEN_YEARS_S
    filename = wheel_filename(site.name)
    site.index.page(site.name, site.index.file(filename, make_wheel(site.name)))
    return ""


def yank_in_the_past(site: Site) -> None:
    """Set the clock right, and take the release back: what the index has instead cannot be read."""
    site.machine["clock_s"] = 0.0
    content = zip_of_countless_members(2_000_000)
    filename = f"{site.name.replace('-', '_')}-1.1-py3-none-any.whl"
    site.index.page(site.name, site.index.file(filename, content))


def make_built_in_the_future(site: Site) -> str:
    """An sdist that is built and judged while the clock is ten years ahead."""
    site.machine["clock_s"] = _TEN_YEARS_S
    return sdist()(site)


def break_in_the_past(site: Site) -> None:
    """Set the clock back, and bring another sdist, whose build fails."""
    site.machine["clock_s"] = -_TEN_YEARS_S
    sdist("Summary: another")(site)
    log = site.folder / "log-answer"
    log.write_bytes(b"x.c:1:1: error: it is broken now\n")
    site.answers[site.name] = {"log": str(log)}


def check_not_served(world: World) -> None:
    assert not world.served(world.site.name), "what the index has no more is served"


def check_newest_counts(world: World) -> None:
    """What was written last is what the ledger has for newest: evidence, verdicts, the published index."""
    name = world.site.name
    assert not world.served(name), f"{name} is served still"
    with Store(world.wheelhouse) as store:
        builds = [item for item in store.newest_evidence_of(name) if item.job.kind == JobKind.BUILD]
        published = store.publications.current_snapshot()
        newest = store.publications.snapshot(published or "")
        verdicts = [row for row in store.publications.verdicts() if row[1] == name]
    assert [item.files for item in builds] == [{}], "the build of before counts"
    assert verdicts[-1][4] == "build-failure", f"the last verdict is {verdicts[-1]}"
    assert name not in newest["simple"], "the index of before counts"


def wheel_zip(*members: RawZipMember) -> bytes:
    return make_raw_zip(members)


_HOST = "files of the host, of the wheelhouse, of the neighbours' pages"
_SERVICES = "services of this machine and its network"
_PINS = "constraints files"
_REPORT = "the run's end, its report, the neighbours' verdicts"
_MEMORY = "memory and time of the farm's process"

ATTACKS = (
    # --- upstream's wheels are files of others, and an application's files are the project's
    Attack(
        name="upstream-of-another", point="medium", kind="wheel", verdicts=FAILS, codes=("WF215",), checked=_PINS,
        make=serve_native(wheel_of_another),
    ),
    Attack(
        name="upstream-wrong-hash", point="4", kind="index answer", verdicts=FAILS, codes=("WF103",), checked=_HOST,
        make=serve_native(honest_native, sha256="0" * 64),
    ),
    Attack(
        name="upstream-leads-out", point="4", kind="wheel", verdicts=FAILS_OR_BUILDS, checked=_HOST,
        make=serve_native(wheel_that_leads_out), check=is_nothing_written,
    ),
    Attack(
        name="upstream-metadata-bomb", point="12", kind="wheel", verdicts=NO_ANSWER, checked=_MEMORY,
        make=serve_native(wheel_with_a_metadata_bomb),
    ),
    Attack(
        name="upstream-wants-the-host", point="4", kind="wheel", verdicts=FAILS_OR_BUILDS, checked=_HOST,
        make=serve_native(wheel_that_wants_the_host),
    ),
    Attack(
        name="upstream-many-tags", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY,
        make=serve_native(honest_native, f"{_LETTERS}-{_LETTERS}-{_LETTERS}"),
    ),
    Attack(
        name="application-links-to-a-file", point="4", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_HOST,
        make=application_that_links_out(folder=False),
    ),
    Attack(
        name="application-links-to-a-folder", point="4", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_HOST,
        make=application_that_links_out(folder=True),
    ),
    # --- one package's metadata ends no run
    Attack(
        name="odd-marker", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist("Requires-Dist: neighbour; 'a' ~= 'b'", "Requires-Dist: neighbour; extra == python_version < '3'"),
    ),
    Attack(
        name="incomparable-marker", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist("Requires-Dist: neighbour; os_name ~= 'posix'"),
    ),
    Attack(
        name="deep-marker", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist("Requires-Dist: neighbour; " + "(" * 20_000 + "os_name == 'posix'" + ")" * 20_000),
    ),
    Attack(
        name="no-requirement", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist("Requires-Dist: ===;;", "Requires-Dist: a @ file:///etc/passwd", "Provides-Extra: \x00"),
    ),
    Attack(
        name="deep-toml", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist(pyproject=b"[build-system]\nrequires = " + b"[" * 100_000 + b"]" * 100_000),
    ),
    Attack(
        name="wrong-toml", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist(pyproject=b"build-system = 3\nx = \xff\n"),
    ),
    Attack(
        name="typed-toml", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist(pyproject=b"[build-system]\nrequires = [1, {a = 2}, [3]]\n"),
    ),
    Attack(
        name="no-version", point="7", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_REPORT,
        make=sdist(version="neither number nor letter"),
    ),
    Attack(
        name="version-of-digits", point="7", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_REPORT,
        make=sdist(version="9" * 5000),
    ),
    Attack(
        name="specifier-of-digits", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=sdist("Requires-Dist: neighbour>=" + "9" * 5000),
    ),
    Attack(
        name="metadata-two-x", point="7", kind="index answer", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=make_version_of_digits,
    ),
    Attack(
        name="encrypted-zip", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=zip_sdist(encrypted_pyproject),
    ),
    Attack(
        name="damaged-zip", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=zip_sdist(damaged_pyproject),
    ),
    Attack(
        name="pax-numbers", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT, make=make_odd_pax,
    ),
    Attack(
        name="bytes-in-metadata", point="7", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_REPORT,
        make=make_bytes_in_names,
    ),
    # --- nothing of an index becomes a path
    Attack(
        name="sha256-is-a-path", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(hashes={"sha256": "{secret}"}),
    ),
    Attack(
        name="sha256-climbs", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(hashes={"sha256": "{up}/secret"}),
    ),
    Attack(
        name="build-tag-climbs", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(filename="{name}-1.0-1{up}/written-by-an-attack-py3-none-any.whl"),
    ),
    Attack(
        name="file-name-climbs", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(filename="{up}/{file}"),
    ),
    Attack(
        name="file-name-with-newline", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(filename="{file}\n"),
    ),
    Attack(
        name="page-of-another", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=make_other_project, check=check_neighbour_is_its_own,
    ),
    Attack(
        name="file-address", point="4", kind="index answer", verdicts=NO_ANSWER, checked=_HOST,
        make=serve_entry(url="file://{secret}", hashes={}),
    ),
    Attack(
        name="wrong-hash", point="4", kind="index answer", verdicts=FAILS, codes=("WF103",),
        checked="what is served", make=make_wrong_hash,
    ),
    Attack(
        name="redirect-of-a-file", point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",),
        checked=_SERVICES, make=make_redirect, check=check_service_was_not_asked,
    ),
    Attack(
        name="redirect-of-a-page", point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",),
        checked=_SERVICES, make=make_page_redirect, check=check_service_was_not_asked,
    ),
    *(
        Attack(
            name=name, point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",), checked=_SERVICES,
            make=with_names(link_to(address), metadata=["169.254.169.254"]), check=check_service_was_not_asked,
        )
        for name, address in _HIDDEN_ADDRESSES.items()
    ),
    Attack(
        name="redirect-to-link-local", point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",),
        checked=_SERVICES, make=redirect_to("http://169.254.169.254/latest/"), check=check_service_was_not_asked,
    ),
    Attack(
        name="redirect-of-metadata", point="medium", kind="index answer", verdicts=FAILS_OR_BUILDS,
        checked=_SERVICES, make=redirect_to("http://127.1:{port}/", ".metadata"), check=check_service_was_not_asked,
    ),
    Attack(
        name="name-of-this-machine", point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",),
        checked=_SERVICES, make=with_names(redirect_to("http://files.invalid:{port}/"), files=["127.0.0.1"]),
        check=check_service_was_not_asked,
    ),
    Attack(
        name="name-that-turns", point="medium", kind="index answer", verdicts=NO_ANSWER, codes=("WF111",),
        checked=_SERVICES, make=with_names(redirect_to("http://files.invalid:{port}/"), files=[_PUBLIC, "127.0.0.1"]),
        check=check_service_was_not_asked,
    ),
    # --- nothing of a name is a constraint
    Attack(
        name="file-name-is-a-requirement", point="medium", kind="index answer", verdicts=NO_ANSWER, checked=_PINS,
        make=serve_entry(filename="{name}-1.0+1\n{name} @ file:{secret} ; x-py3-none-any.whl"),
    ),
    Attack(
        name="version-is-a-requirement", point="medium", kind="index answer", verdicts=NO_ANSWER, checked=_PINS,
        make=serve_entry(filename="{name}-1.0;evil@file:x-py3-none-any.whl"),
    ),
    Attack(
        name="version-over-two-lines", point="medium", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_PINS,
        make=sdist(version="1.0\n evil @ file:///tmp/evil.whl"),
    ),
    Attack(
        name="requirement-over-two-lines", point="medium", kind="sdist", verdicts=FAILS_OR_BUILDS, checked=_PINS,
        make=sdist(
            "Requires-Dist: neighbour\n evil @ file:///tmp/evil.whl", "Requires-Dist: neighbour\u2028evil==1",
            pyproject=b'[build-system]\nrequires = ["neighbour\\nevil @ file:///tmp/evil.whl", "steady; \\u2028evil"]\n',
        ),
    ),
    # --- a clock that goes back
    Attack(
        name="yanked-in-the-past", point="medium", kind="index answer", verdicts=NO_ANSWER, checked="ledger, what is served",
        make=make_released_in_the_future, later=yank_in_the_past,
        check=check_not_served,
    ),
    Attack(
        name="broken-in-the-past", point="medium", kind="sdist", verdicts=FAILS, codes=("WF201",),
        checked="ledger, what is served", make=make_built_in_the_future, later=break_in_the_past, check=check_newest_counts,
    ),
    # --- memory and time of the host
    Attack(
        name="metadata-bomb", point="12", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_MEMORY,
        memory_bytes=400 << 20, make=make_metadata_bomb,
    ),
    Attack(
        name="countless-zip", point="12", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_MEMORY,
        make=make_countless_zip,
    ),
    Attack(
        name="countless-tar", point="12", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_MEMORY,
        make=make_countless_tar,
    ),
    Attack(
        name="endless-name", point="12", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_MEMORY,
        make=make_endless_name,
    ),
    Attack(
        name="huge-member", point="12", kind="sdist", verdicts=FAILS, codes=("WF105",), checked=_MEMORY,
        make=make_huge_tar,
    ),
    Attack(
        name="countless-requirements", point="12", kind="index answer", verdicts=FAILS_OR_BUILDS, checked=_MEMORY,
        make=serve_wheel(lambda site: make_zip({
            f"{site.name.replace('-', '_')}-1.0.dist-info/METADATA": metadata(site.name) + _HUGE_LINES,
        })),
    ),
    Attack(
        name="wheel-metadata-bomb", point="12", kind="wheel", verdicts=FAILS_OR_BUILDS, checked=_MEMORY,
        memory_bytes=400 << 20,
        make=serve_wheel(lambda site: wheel_zip(lzma_bomb(f"{site.name.replace('-', '_')}-1.0.dist-info/METADATA"))),
    ),
    Attack(
        name="countless-wheel", point="12", kind="wheel", verdicts=FAILS_OR_BUILDS, checked=_MEMORY,
        make=serve_wheel(lambda site: zip_of_countless_members(
            2_000_000, stored(f"{site.name.replace('-', '_')}-1.0.dist-info/METADATA", metadata(site.name)),
        )),
    ),
    Attack(
        name="endless-page", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY,
        make=page_answer("text/html"),
    ),
    Attack(
        name="endless-metadata", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY,
        make=make_metadata_flood,
    ),
    Attack(
        name="gzip-page", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY, make=make_gzip_page,
    ),
    Attack(
        name="deep-page", point="7", kind="index answer", verdicts=NO_ANSWER, checked=_REPORT, make=make_deep_page,
    ),
    Attack(
        name="countless-links", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY,
        make=make_many_links,
    ),
    Attack(
        name="slow-page", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY, make=make_slow_page,
    ),
    Attack(
        name="slow-file", point="12", kind="index answer", verdicts=NO_ANSWER, checked=_MEMORY, make=make_slow_file,
    ),
)  # fmt: skip
