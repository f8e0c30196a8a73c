"""What is no hash, file name, project name or version is refused where it comes in, with what was observed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from builder.untrusted import names
from builder.untrusted.names import UntrustedNameError

HASH = "0123456789abcdef" * 4


def test_a_sha256_is_64_lower_case_digits():
    assert names.parse_sha256(HASH) == HASH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/some/file",
        "../" * 20 + "0000",
        HASH.upper(),
        HASH[:-1],
        HASH + "0",
        HASH + "\n",
        HASH[:-1] + "\n",
        "０" * 64,  # noqa: RUF001 - digits of another script, which `int` takes
        None,
        64,
        HASH.encode(),
    ],
)
def test_what_is_no_sha256_is_refused(text: object):
    with pytest.raises(UntrustedNameError, match=r"^the page of foo: expected a sha256"):
        names.parse_sha256(text, "the page of foo")


@pytest.mark.parametrize("text", ["a", "foo-1.0.tar.gz", "größe.txt", "..a", "a b", "x" * 255])
def test_the_name_of_a_file(text: str):
    assert names.parse_file_name(text) == text


NO_FILE_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "..\\b",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\ud800b",
    "x" * 256,
    "ü" * 128,
    None,
    1,
]


@pytest.mark.parametrize("text", NO_FILE_NAMES)
def test_what_is_no_name_of_a_file_is_refused(text: object):
    with pytest.raises(UntrustedNameError, match="expected the name of a file"):
        names.parse_file_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "foo-1.0.tar.gz",
        "foo-1.0.zip",
        "foo_bar-1!2.0+local.1-1build-cp314-cp314t-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "foo-1.0.post-r1.tgz",
    ],
)
def test_the_name_of_a_distribution(text: str):
    assert names.parse_distribution_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *NO_FILE_NAMES,
        "-r-1.0.tar.gz",
        ".foo-1.0.tar.gz",
        "foo-1.0 .tar.gz",
        'foo-1.0".tar.gz',
        "foo-1.0$(id).tar.gz",
        "foo-1.0;x.tar.gz",
        "foo-1.0%2f.tar.gz",
        "foo-1.0-1../../../../evil-cp314-cp314-linux_x86_64.whl",
        "foo-1.0-1 -cp314-cp314-linux_x86_64.whl",
        "foo-1.0-cp314-cp314.whl",
        "foo-x-cp314-cp314-linux_x86_64.whl",
    ],
)
def test_what_is_no_name_of_a_distribution_is_refused(text: object):
    with pytest.raises(UntrustedNameError):
        names.parse_distribution_name(text)


def test_the_name_of_a_wheel_is_no_sdists():
    with pytest.raises(UntrustedNameError, match="the name of a wheel"):
        names.parse_wheel_name("foo-1.0.tar.gz")


def test_the_name_of_a_project_is_normalized():
    assert names.parse_project_name("Zope._Interface") == "zope-interface"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "-r",
        "a-",
        ".a",
        "a b",
        "a\n",
        "a\n--index-url x",
        "a/b",
        "..",
        "\u017f",
        "\u212a",
        "a" * 129,
        None,
    ],
)
def test_what_is_no_name_of_a_project_is_refused(text: object):
    with pytest.raises(UntrustedNameError, match="the name of a project"):
        names.parse_project_name(text)


def test_a_version_is_normalized():
    assert str(names.parse_version(" v1.0-RC.1 \n")) == "1.0rc1"


@pytest.mark.parametrize("text", ["", "one", "1.0\n==2", "9" * 5000, "1." + "0." * 5000, None, 1])
def test_what_is_no_version_is_refused(text: object):
    with pytest.raises(UntrustedNameError, match="a version"):
        names.parse_version(text)


def test_an_error_is_one_line_whatever_it_is_about():
    with pytest.raises(UntrustedNameError) as caught:
        names.parse_file_name("/\n\x1b\ud800\u202e" + "x" * 5000)
    text = str(caught.value)
    assert text.isascii() or "…" in text
    assert text.replace("…", "").isprintable()
    assert len(text) < 250


PARSERS = (
    names.parse_sha256,
    names.parse_file_name,
    names.parse_distribution_name,
    names.parse_wheel_name,
    names.parse_project_name,
    names.parse_version,
)


@given(
    text=st.text(st.characters() | st.sampled_from("/\\.-\0\n0aZ"), max_size=300)
    | st.none()
    | st.integers()
)
def test_a_door_lets_through_or_refuses_and_nothing_else(text: object):
    for parse in PARSERS:
        try:
            parsed = str(parse(text, "here"))
        except UntrustedNameError:
            continue
        assert "/" not in parsed
        assert parsed.isprintable()


def test_models_have_them_as_fields():
    class Record(BaseModel):
        sha256: names.Sha256Field
        file: names.FileNameField
        project: names.ProjectNameField

    wheel = "foo-1.0-py3-none-any.whl"
    record = Record.model_validate({"sha256": HASH, "file": wheel, "project": "Foo"})
    assert (record.sha256, record.file, record.project) == (HASH, wheel, "foo")
    with pytest.raises(ValidationError, match="expected a sha256"):
        Record.model_validate({"sha256": "/etc/passwd", "file": wheel, "project": "foo"})
