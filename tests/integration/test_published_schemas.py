"""JUnit XML against the schema that Jenkins publishes; pytest's sdist carries it, and the index pytest's sdist."""

from __future__ import annotations

import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
import xmlschema

from builder.host import settings as host
from builder.report.formats import junit
from builder.sources.client import Index
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.unit.documents import HOSTILE, abi, document, finding


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> xmlschema.XMLSchema:
    store = Store(tmp_path_factory.mktemp("schema") / "wheelhouse")
    index, installed = Index(host.index_settings(), store), version("pytest")
    (release,) = (one for one in index.releases("pytest") or () if str(one.version) == installed)
    assert release.sdist is not None
    sdist = store.file(index.download(release.sdist))
    store.close()
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"pytest-{installed}/testing/example_scripts/junit-10.xsd")
        assert member is not None
        return xmlschema.XMLSchema(member.read().decode())


def test_junit_of_every_verdict_fits_the_schema(schema: xmlschema.XMLSchema):
    packages = {
        verdict.value: {"cp314": abi(), "cp314t": abi(verdict.value, "why", finding())}
        for verdict in Verdict
    }
    packages[HOSTILE] = {"cp314": abi("racy", HOSTILE, finding(detail=HOSTILE))}
    text = junit.render(document(packages))
    schema.validate(text)
    assert not schema.is_valid(text.replace("<testcase ", "<testcase surprise='1' ", 1))


def test_junit_of_nothing_fits_the_schema(schema: xmlschema.XMLSchema):
    schema.validate(junit.render(document({})))


def test_it_is_the_schema_of_junit(schema: xmlschema.XMLSchema, tmp_path: Path):
    (tmp_path / "other.xml").write_text("<other/>")
    assert not schema.is_valid(str(tmp_path / "other.xml"))
