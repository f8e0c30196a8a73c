import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import catalog, matrix
from builder.judge import remedies
from builder.judge.apt_contents import ContentsSearch, Hit, MissingDependency
from builder.store.evidence import Evidence, JobOutcome
from tests.job_ids import job_id

INDEX = """\
bin/zcat                                                utils/gzip
usr/bin/xslt-config                                     libdevel/libxslt1-dev
usr/include/Poco/zlib.h                                 libdevel/libpoco-dev
usr/include/libxml2/libxml/parser.h                     libdevel/libxml2-dev
usr/include/x86_64-linux-gnu/ffi.h                      libdevel/libffi-dev
usr/include/zlib.h                                      libdevel/zlib1g-dev
usr/lib/x86_64-linux-gnu/libxslt.so                     universe/libdevel/libxslt1-dev
usr/lib/x86_64-linux-gnu/openblas-pthread/pkgconfig/openblas.pc libdevel/libopenblas-pthread-dev
usr/lib/x86_64-linux-gnu/pkgconfig/expat.pc             libdevel/libexpat1-dev,libdevel/libexpat-other-dev
usr/share/eigen3/cmake/Eigen3Config.cmake               libdevel/libeigen3-dev
usr/share/doc/a folder/zlib.h                           doc/zlib-doc
usr/share/doc/libxml2-dev/README                        libdevel/libxml2-dev
"""


def found(kind: str, name: str, index: str = INDEX) -> tuple[Hit, ...]:
    search = ContentsSearch([MissingDependency(kind=kind, name=name)])
    search.read(index.splitlines(keepends=True))
    return search.results().get(MissingDependency(kind=kind, name=name), ())


@pytest.mark.parametrize(
    ("kind", "name", "package", "path"),
    [
        ("header", "zlib.h", "zlib1g-dev", "/usr/include/zlib.h"),
        ("header", "libxml/parser.h", "libxml2-dev", "/usr/include/libxml2/libxml/parser.h"),
        ("header", "ffi.h", "libffi-dev", "/usr/include/x86_64-linux-gnu/ffi.h"),
        ("library", "xslt", "libxslt1-dev", "/usr/lib/x86_64-linux-gnu/libxslt.so"),
        ("program", "xslt-config", "libxslt1-dev", "/usr/bin/xslt-config"),
        ("program", "zcat", "gzip", "/bin/zcat"),
        ("pkg-config", "openblas", "libopenblas-pthread-dev", "/usr/lib/x86_64-linux-gnu/openblas-pthread/pkgconfig/openblas.pc"),
        ("dependency", "expat", "libexpat1-dev", "/usr/lib/x86_64-linux-gnu/pkgconfig/expat.pc"),
        ("cmake", "EXPAT", "libexpat1-dev", "/usr/lib/x86_64-linux-gnu/pkgconfig/expat.pc"),
        ("cmake", "Eigen3", "libeigen3-dev", "/usr/share/eigen3/cmake/Eigen3Config.cmake"),
        ("development", "libxml2", "libxml2-dev", "/usr/include/libxml2/libxml/parser.h"),
        ("development", "libxslt", "libxslt1-dev", "/usr/lib/x86_64-linux-gnu/libxslt.so"),
    ],
)  # fmt: skip
def test_each_kind_is_found_where_it_belongs(kind: str, name: str, package: str, path: str):
    assert found(kind, name)[0] == Hit(package=package, path=path)


def test_a_file_of_the_same_name_elsewhere_is_no_header():
    assert [hit.package for hit in found("header", "zlib.h")] == ["zlib1g-dev", "libpoco-dev"]
    assert found("header", "README") == ()


def test_every_package_that_shares_a_path_is_told():
    assert {hit.package for hit in found("pkg-config", "expat")} == {
        "libexpat1-dev",
        "libexpat-other-dev",
    }


NAMES = st.from_regex(r"[a-z][a-z0-9+.-]{1,12}", fullmatch=True)


@given(packages=st.lists(NAMES, min_size=1, max_size=4, unique=True), header=st.from_regex(r"[A-Za-z_ -]{1,9}\.h", fullmatch=True),
       folder=st.from_regex(r"([A-Za-z0-9 ._-]{1,8}/){0,3}", fullmatch=True), spaces=st.integers(1, 40))  # fmt: skip
def test_any_line_that_an_archive_may_write_is_read(
    packages: list[str], header: str, folder: str, spaces: int
):
    line = f"usr/include/{folder}{header}{' ' * spaces}{','.join(f'universe/libdevel/{name}' for name in packages)}\n"
    name = header.strip()
    hits = {hit.package for hit in found("header", header, line)}
    assert hits == (set(packages) if name == header else hits)


# --- the line for matrix.toml ------------------------------------------------------------------------------------------

BASES = st.sampled_from(sorted(catalog.load().bases))


@given(st.dictionaries(BASES, st.lists(NAMES, max_size=3).map(tuple), min_size=1, max_size=4))
def test_the_apt_line_means_what_was_found(wanted: dict[str, tuple[str, ...]]):
    line = remedies.render_apt_line(wanted)
    package = matrix.parse(tomllib.loads(f"[packages.foo]\n{line}"), Path("matrix.toml")).packages[
        "foo"
    ]
    for name, packages in wanted.items():
        assert package.apt_packages(catalog.load().bases[name]) == tuple(sorted(set(packages)))


def looked_up(*packages: str, unknown: tuple[str, ...] = ()) -> Evidence:
    found = [
        {"kind": "header", "name": f"{name}.h", "packages": [[name, f"/usr/include/{name}.h"]]}
        for name in packages
    ]
    return Evidence(
        key="r",
        job=job_id("remedy:foo@debian-12"),
        facts={"found": found, "unknown": [["header", name] for name in unknown]},
    )


def test_what_the_matrix_has_already_stays_in_the_line():
    system = {"debian-12": ("libold-dev",), "ubuntu-24.04": ("libold-dev",)}
    both = {"debian-12": looked_up("libnew-dev"), "ubuntu-24.04": looked_up("libnew-dev")}
    assert 'set apt = ["libnew-dev", "libold-dev"] in [packages.foo]' in remedies.suggest_remedy(
        "foo", "", "debian-12", system, both
    )
    names = {"debian-12": looked_up("libnew-dev"), "ubuntu-24.04": looked_up("libnewer-dev")}
    text = remedies.suggest_remedy("foo", "", "ubuntu-24.04", system, names)
    assert '"ubuntu-24.04" = ["libnewer-dev", "libold-dev"]' in text
    assert "libnewer-dev has /usr/include/libnewer-dev.h" in text


def test_what_no_package_has_is_said():
    text = remedies.suggest_remedy(
        "foo", "hint", "debian-12", {}, {"debian-12": looked_up(unknown=("made.h",))}
    )
    assert "no package of debian-12 has made.h" in text


def test_an_archive_that_does_not_answer_leaves_the_hint():
    silent = Evidence(
        key="",
        job=job_id("remedy:foo@debian-12"),
        outcome=JobOutcome.UNDETERMINED,
        reason="the archive is silent",
    )
    text = remedies.suggest_remedy(
        "foo", "use apt-file search x.h", "debian-12", {}, {"debian-12": silent}
    )
    assert text == "use apt-file search x.h (the archive is silent)"
    assert remedies.suggest_remedy("foo", "hint", "debian-12", {}, {}) == "hint"


def test_a_library_that_a_build_fetches_is_on_the_system_or_there_is_another_way():
    text = remedies.suggest_remedy(
        "foo",
        "turn it off",
        "debian-12",
        {},
        {"debian-12": looked_up("libsodium-dev", unknown=("bar",))},
        has_alternative=True,
    )
    assert text.startswith('set apt = ["libsodium-dev"] in [packages.foo]')
    assert text.endswith("; or turn it off")
    assert "no package" not in text


def test_of_packages_that_exclude_one_another_the_one_with_openssl_is_named():
    index = "".join(
        f"usr/bin/curl-config   libdevel/libcurl4-{tls}-dev\n"
        for tls in ("nss", "gnutls", "openssl")
    )
    assert found("program", "curl-config", index)[0].package == "libcurl4-openssl-dev"
