"""The index as others read it: mousebender and pypi-simple, two implementations of the Simple repository API."""

import json

import mousebender.simple as mousebender
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, IndexPage, ProjectPage

from builder import index

SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
PROJECTS = ("foo_bar", "a", "zope.interface", "ruamel_yaml_clib")
VERSIONS = ("1.0", "1!2.0+local.1", "3.0rc1", "2026.1.1.post2")
TAGS = ("cp314-cp314-manylinux_2_17_x86_64", "cp314-cp314t-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp39-abi3-linux_x86_64",
        "py3-none-any")  # fmt: skip
SAYS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="&")
)  # mousebender unescapes twice


@st.composite
def entries(draw: st.DrawFn) -> index.Entry:
    parts = (draw(st.sampled_from(choice)) for choice in (PROJECTS, VERSIONS, TAGS))
    return index.Entry(
        filename="-".join(parts) + ".whl",
        sha256=draw(SHA256),
        requires_python=draw(st.sampled_from(["", ">=3.9", "<4,>=3.10", "!=3.0.*"])),
        metadata=draw(st.just("") | SHA256),
        size_bytes=draw(st.integers(1, 1 << 40)),
        uploaded_at=draw(st.sampled_from(["", "2026-11-21T02:00:00.000000Z"])),
        yanked=draw(SAYS),
        folder=draw(st.sampled_from(["", "0123456789abcdef"])),
    )


def pages(found: list[index.Entry]) -> tuple[index.Manifest, dict[str, str]]:
    content = index.make_manifest(found)
    return content, dict(index.render_pages(content))


@given(st.lists(entries(), max_size=8))
def test_both_forms_of_a_page_say_the_same(found: list[index.Entry]):
    content, written = pages(found)
    for project, files in content.items():
        stated = json.loads(written[f"simple/{project}/index.json"])
        html = mousebender.from_project_details_html(
            written[f"simple/{project}/index.html"], project
        )
        assert html["name"] == stated["name"] == project
        plain = [
            {k: v for k, v in file.items() if k not in {"size", "upload-time"}}
            for file in stated["files"]
        ]
        assert html["files"] == plain
        assert [file["filename"] for file in plain] == [entry.filename for entry in files]


@given(st.lists(entries(), max_size=8))
def test_pages_have_the_fields_that_the_standard_knows_and_wants(found: list[index.Entry]):
    content, written = pages(found)
    for project in content:
        text = written[f"simple/{project}/index.json"]
        parsed = mousebender.parse_project_details(text, mousebender.ACCEPT_JSON_V1, project)
        kind = mousebender.ProjectDetails_1_1
        assert set(parsed) == kind.__required_keys__
        assert parsed["meta"] == {"api-version": "1.1"}
        for file in parsed["files"]:
            details = mousebender.ProjectFileDetails_1_1
            assert (
                details.__required_keys__
                <= set(file)
                <= details.__required_keys__ | details.__optional_keys__
            )
    root = mousebender.parse_project_index(written["simple/index.json"], mousebender.ACCEPT_JSON_V1)
    assert (
        root["projects"]
        == mousebender.from_project_index_html(written["simple/index.html"])["projects"]
    )
    assert [one["name"] for one in root["projects"]] == list(content)


@given(st.lists(entries(), max_size=8))
def test_a_client_library_reads_what_was_meant(found: list[index.Entry]):
    content, written = pages(found)
    for project, files in content.items():
        base = f"http://farm/simple/{project}/"
        from_json = ProjectPage.from_json_data(
            json.loads(written[f"simple/{project}/index.json"]), base_url=base
        )
        from_html = ProjectPage.from_html(
            project, written[f"simple/{project}/index.html"], base_url=base
        )
        for page in (from_json, from_html):
            assert page.repository_version == "1.1"
            assert [read(package) for package in page.packages] == [
                wanted(entry, base) for entry in files
            ]
    assert IndexPage.from_html(written["simple/index.html"]).projects == list(content)


def read(package: DistributionPackage) -> tuple[object, ...]:
    return (
        package.filename, package.url.partition("#")[0], package.digests, package.requires_python or "", bool(package.has_metadata),
        package.metadata_digests or {}, package.is_yanked, package.yanked_reason or "",
    )  # fmt: skip


def wanted(entry: index.Entry, base: str) -> tuple[object, ...]:
    digests = {"sha256": entry.metadata} if entry.metadata else {}
    return (
        entry.filename, f"{base}{entry.path}", {"sha256": entry.sha256}, entry.requires_python, bool(entry.metadata), digests,
        bool(entry.yanked), entry.yanked,
    )  # fmt: skip
