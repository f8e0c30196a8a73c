"""What apt says of system packages that cannot be installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.errors import InfrastructureError
from builder.evidence.image import ImageFacts
from builder.jobs.images.packages import PackagesImage

IMAGE = PackagesImage(base="debian-12", packages=("libcurl4-gnutls-dev", "libcurl4-openssl-dev"))
CONFLICT = """\
The following packages have unmet dependencies:
 libcurl4-openssl-dev : Conflicts: libcurl4-gnutls-dev but 7.88.1-10 is to be installed
E: Unable to correct problems, you have held broken packages.
"""


def explain(tmp_path: Path, printed: str) -> ImageFacts:
    log = tmp_path / "log"
    log.write_text(printed)
    facts = IMAGE.explain_failure("exit code 100", cast("Any", SimpleNamespace(log=log))).facts
    assert isinstance(facts, ImageFacts)
    return facts


def test_packages_that_exclude_one_another_are_told(tmp_path: Path):
    facts = explain(tmp_path, CONFLICT)
    assert facts.tag is None
    assert facts.conflict.startswith("libcurl4-openssl-dev: Conflicts: libcurl4-gnutls-dev")


def test_a_package_that_is_not_there_is_told_first(tmp_path: Path):
    facts = explain(tmp_path, "E: Unable to locate package libgone-dev\n" + CONFLICT)
    assert (facts.missing, facts.conflict) == (("libgone-dev",), "")


def test_an_archive_that_does_not_answer_is_no_fault_of_the_packages(tmp_path: Path):
    with pytest.raises(InfrastructureError):
        explain(tmp_path, "E: Failed to fetch http://archive.invalid/Packages\n")
