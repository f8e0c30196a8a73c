"""From what ThreadSanitizer prints to SARIF: the file, line and function of both accesses arrive."""

import json
from typing import Any

from jsonschema.validators import validator_for

from builder.config.matrix import Matrix
from builder.inside.stress.sanitizer.attribution import attribute
from builder.inside.stress.sanitizer.reports import parse
from builder.judge import interfaces
from builder.judge.package import JudgedPackage, judge_package
from builder.judge.package_evidence import PackageEvidence
from builder.report.documents.verdicts_json import Document, make_document
from builder.report.formats import sarif
from builder.store.evidence import Evidence
from tests.unit.inside.stress.sanitizer.sanitizer_reports import BUMP, CALL, FREE, MODULES, PEEK
from tests.unit.inside.stress.sanitizer.sanitizer_reports import race as race_report
from tests.unit.judge.test_package import ABIS, BASES, SOURCE, audit, build, load
from tests.unit.judge.threads.test_jobs import event, exercise, race
from tests.unit.report.test_report import published_schema


def races(*texts: str) -> list[dict[str, Any]]:
    """Return the facts of races, attributed as in the container and sent as JSON."""
    facts: list[dict[str, Any]] = []
    for text in texts:
        (report,) = parse(text)
        attribution = attribute(report, MODULES)
        facts.append(event(**attribution, report=report["text"]))

    return list(json.loads(json.dumps(facts)))


def judged(raced: Evidence) -> JudgedPackage:
    evidence = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": build()},
        audits={"debian-12": audit()},
        loads={("debian-12", "debian-12"): load()},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
        race=raced,
        exercise=exercise(),
    )
    return judge_package(evidence, ABIS)


def test_a_race_is_in_sarif_with_the_file_and_line_of_both_accesses():
    package = judged(race(races=races(race_report((BUMP, CALL), (PEEK, CALL)))))
    written = make_document([package], Matrix(packages={"foo": {}}))

    log = json.loads(sarif.render(written))
    schema = published_schema("/sarif-2.1.0.json")
    validator_for(schema)(schema).validate(log)

    (result,) = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("WF605", "error")
    assert result["partialFingerprints"] == {
        "wheelfarmFinding/v1": package.abis["cp314t"].findings[0].id
    }

    (location,) = result["locations"]
    (other,) = result["relatedLocations"]
    places = []
    for one in (location, other):
        physical = one["physicalLocation"]
        (function,) = one["logicalLocations"]
        places.append(
            (physical["artifactLocation"]["uri"], physical["region"]["startLine"], function["name"])
        )
    assert places == [("src/fast.c", 41, "bump"), ("src/fast.c", 58, "peek")]


def test_the_document_has_the_same_locations():
    package = judged(race(races=races(race_report((FREE, BUMP), (PEEK, CALL)))))
    written = make_document([package], Matrix(packages={"foo": {}}))

    (finding,) = written.packages[0].abis["cp314t"].findings
    assert (finding.code, finding.where) == ("WF604", "bump (fast.c) and peek (fast.c)")
    assert [one.model_dump() for one in finding.locations] == [
        {"path": "src/fast.c", "line": 41, "function": "bump"},
        {"path": "src/fast.c", "line": 58, "function": "peek"},
    ]
    assert Document.model_validate_json(written.model_dump_json()) == written


def test_what_looks_like_a_link_in_a_message_is_none():
    told = sarif._escape_links("a[0] and [click](https://bad.invalid) in [x][y](1)")

    assert told == r"a[0] and \[click](https://bad.invalid) in [x]\[y](1)"
