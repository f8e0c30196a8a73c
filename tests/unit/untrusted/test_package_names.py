import pytest

from builder.untrusted.names import UntrustedNameError
from builder.untrusted.package_names import (
    parse_package_name,
    pin_package,
    project_of,
    table_key,
    version_of,
)


@pytest.mark.parametrize(
    ("text", "name", "project", "version"),
    [
        ("numpy", "numpy", "numpy", ""),
        ("Zope.Interface", "zope-interface", "zope-interface", ""),
        ("numpy==2.3.4", "numpy==2.3.4", "numpy", "2.3.4"),
        ("NumPy == v2.3.4-1", "numpy==2.3.4.post1", "numpy", "2.3.4.post1"),
        ("a==1!2.0+local.1", "a==1!2.0+local.1", "a", "1!2.0+local.1"),
    ],
)
def test_a_package_is_a_project_or_one_version_of_it(
    text: str, name: str, project: str, version: str
):
    assert parse_package_name(text) == name
    assert parse_package_name(name) == name
    assert (project_of(name), version_of(name)) == (project, version)
    if version:
        assert pin_package(project, version) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "==1.0", "a b", "a>=1.0", "a==2.*", "a===1.0", "a==1.0,!=2", "a==", "../a==1.0", "a==1.0/../b", 3,
    ],
)  # fmt: skip
def test_what_is_no_path_and_no_range(text: object):
    with pytest.raises(UntrustedNameError):
        parse_package_name(text)


def test_a_key_is_quoted_where_toml_needs_it():
    assert table_key("numpy") == "numpy"
    assert table_key("numpy==2.3.4") == '"numpy==2.3.4"'
