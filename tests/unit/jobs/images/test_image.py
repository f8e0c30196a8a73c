"""What is recorded of an image's system packages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builder.jobs.images.image import parse_packages

LISTING = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
ID=debian
gone  amd64
libffi8 3.4.4-1 amd64
tzdata 2026a-0+deb12u1 all
"""


def test_packages_are_listed_with_their_versions_and_the_release_is_not():
    assert parse_packages(LISTING) == {"libffi8": "3.4.4-1", "tzdata": "2026a-0+deb12u1"}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9+.-]+", fullmatch=True),
        st.from_regex(r"([0-9]:)?[0-9][A-Za-z0-9.+~-]*", fullmatch=True),
    )
)
def test_whatever_dpkg_lists_is_read(versions: dict[str, str]):
    listing = "".join(f"{name} {version} amd64\n" for name, version in versions.items())
    assert parse_packages('NAME="Debian Linux 12"\n' + listing) == versions
