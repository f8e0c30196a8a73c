"""Attacks by the wheelhouse of one shard on what all of them are merged into.

Three honest shards are made once and merged once. Each attack gets a copy of them, changes the last one, whose only
package is `zealot`, and is merged into a copy of the honest result: that has to stay as it is where the merge is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.errors import MergeError
from builder.store.store import Store
from tests.hostile.attack import Attack, Site, World, hash_file
from tests.hostile.attacks.sources import sdist
from tests.hostile.attacks.text import answer, load_answer
from tests.hostile.offline import describe_audit, image_key
from tests.hostile.sdists import PLATFORM, make_wheel, wheel_filename

SUBJECT = "zealot"
"""The only package of the shard that attacks; by its name it is in the last one, which is merged last."""

STEADY_WHEEL = wheel_filename("steady", f"cp314-cp314-{PLATFORM}")

PLANTED_KEY = "f" * 64

Record = dict[str, Any]


def shard_folder(site: Site, name: str = SUBJECT) -> Path:
    """Return the wheelhouse of the shard that has a package."""
    for folder in sorted(site.folder.glob("shard-*")):
        record = json.loads((folder / "shard.json").read_text())
        if name in record["found"]:
            return folder
    raise AssertionError(f"no shard has {name}")


def change(edit: Callable[[Site, Path, Record], None]) -> Callable[[Site], str]:
    """Return a maker that changes the record of the hostile shard, and what else is in its folder."""

    def make(site: Site) -> str:
        folder = shard_folder(site)
        path = folder / "shard.json"
        record = json.loads(path.read_text())
        edit(site, folder, record)
        if path.is_file():
            path.write_text(json.dumps(record))
        return ""

    return make


def replace_file(make: Callable[[Path], None]) -> Callable[[Site], str]:
    """Return a maker that puts something else in the place of the record."""

    def place(site: Site) -> str:
        path = shard_folder(site) / "shard.json"
        path.unlink()
        make(path)
        return ""

    return place


def evidence_of(record: Record, kind: str) -> Record:
    """Return what a record says of a job of the hostile package."""
    (found,) = (item for item in record["evidence"] if item["job"].startswith(f"{kind}:{SUBJECT}@"))
    assert isinstance(found, dict)
    return found


def add_file(folder: Path, content: bytes) -> str:
    """Put a file into the store of a shard and return its sha256."""
    incoming = folder / "incoming"
    incoming.write_bytes(content)
    sha256 = hash_file(incoming)
    target = folder / "store/files" / sha256[:2] / sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming.replace(target)
    return sha256


# --- what a shard changes ---------------------------------------------------------------------------------------------


def judge_a_neighbour(site: Site, folder: Path, record: Record) -> None:
    """Bring evidence about another shard's package: its wheel is another one."""
    (build,) = _evidence_about(site, "steady", "build")
    sha256 = add_file(folder, make_wheel("steady", "Summary: replaced"))
    record["evidence"].append(build | {"files": {STEADY_WHEEL: sha256}, "key": PLANTED_KEY})


def take_a_neighbours_key(site: Site, folder: Path, record: Record) -> None:
    """Record the own build under the key of a neighbour's, so that later runs take it for that."""
    (build,) = _evidence_about(site, "steady", "build")
    sha256 = add_file(folder, make_wheel("steady", "Summary: replaced"))
    record["evidence"].append(
        evidence_of(record, "build") | {"key": build["key"], "files": {STEADY_WHEEL: sha256}}
    )


def _evidence_about(site: Site, name: str, kind: str) -> list[Record]:
    record = json.loads((shard_folder(site, name) / "shard.json").read_text())
    return [item for item in record["evidence"] if item["job"].startswith(f"{kind}:{name}@")]


def bring_an_image(_: Site, __: Path, record: Record) -> None:
    for item in record["evidence"]:
        if item["job"].startswith("image:"):
            item["facts"] = {"content": "scripted", "tag": "planted.invalid/image"}
    record["evidence"].append(
        evidence_of(record, "build") | {"job": "image:planted", "key": image_key("image:planted"), "files": {}, "facts": {"content": "x", "tag": "planted.invalid/image"}}
    )  # fmt: skip


def link_a_log(site: Site, folder: Path, record: Record) -> None:
    build = evidence_of(record, "build")
    build["log"] = "logs/build/linked.log"
    (folder / build["log"]).symlink_to(site.secret)


def link_a_log_folder(site: Site, folder: Path, record: Record) -> None:
    build = evidence_of(record, "build")
    build["log"] = "logs/linked/secret"
    (folder / "logs/linked").symlink_to(site.host)


def link_a_file(site: Site, folder: Path, record: Record) -> None:
    build = evidence_of(record, "build")
    sha256 = hash_file(site.secret)
    target = folder / "store/files" / sha256[:2] / sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(site.secret)
    for filename in build["files"]:
        build["files"][filename] = sha256


def name_a_path_as_a_hash(site: Site, _: Path, record: Record) -> None:
    """Turn the package into a pure wheel whose hash is a path of the host."""
    pure = {
        "name": SUBJECT, "version": "1.0", "filename": wheel_filename(SUBJECT), "sha256": str(site.secret), "requires": [],
    }  # fmt: skip
    source = record["found"][SUBJECT]
    source |= {
        "sha256": str(site.secret),
        "filename": pure["filename"],
        "only_pure": pure,
        "pure": [pure],
    }


def name_a_path_as_a_file(site: Site, folder: Path, record: Record) -> None:
    """Turn the package into a pure wheel whose name leads out of the index."""
    sha256 = add_file(folder, make_wheel(SUBJECT))
    climbing = f"{SUBJECT}-1.0-1{'../' * 40}{str(site.stolen).lstrip('/')}-py3-none-any.whl"
    pure = {
        "name": SUBJECT,
        "version": "1.0",
        "filename": climbing,
        "sha256": sha256,
        "requires": [],
    }
    source = record["found"][SUBJECT]
    source |= {"sha256": sha256, "filename": climbing, "only_pure": pure, "pure": [pure]}


def bring_a_neighbours_wheel(_: Site, folder: Path, record: Record) -> None:
    """Say that the own build made a wheel of another project."""
    filename = wheel_filename("steady", f"1-cp314-cp314-{PLATFORM}")
    sha256 = add_file(folder, make_wheel("steady", "Summary: replaced"))
    build = evidence_of(record, "build")
    build["files"] = {filename: sha256}
    build["facts"]["abis"]["cp314"]["wheel"] = filename
    audit, load = evidence_of(record, "audit"), evidence_of(record, "load")
    audit["facts"]["wheels"] = {filename: describe_audit(filename)}
    load["facts"]["loads"]["cp314"]["wheel"] = filename


def name_a_wheel_as_a_requirement(_: Site, __: Path, record: Record) -> None:
    """Say that the own build made a wheel whose name is, from its second line on, a requirement."""
    filename = f"{SUBJECT}-1.0-cp314-cp314-{PLATFORM}\nsteady @ file:///tmp/evil.whl"
    build = evidence_of(record, "build")
    (sha256,) = build["files"].values()
    build["files"] = {filename: sha256}
    build["facts"]["abis"]["cp314"]["wheel"] = filename
    audit, load = evidence_of(record, "audit"), evidence_of(record, "load")
    (facts,) = audit["facts"]["wheels"].values()
    audit["facts"]["wheels"] = {filename: facts}
    load["facts"]["loads"]["cp314"]["wheel"] = filename


def check_recorded_names(world: World) -> None:
    """No wheel on record has a name of two lines: builds with the farm's own wheels make constraints of these."""
    with Store(world.wheelhouse) as store:
        for evidence in store.newest_evidence_of(SUBJECT):
            for filename in evidence.files:
                assert len(filename.splitlines()) == 1, f"{evidence.job} has {filename!r}"


def be_a_neighbour(_: Site, __: Path, record: Record) -> None:
    """Name the own source as another package's."""
    record["found"][SUBJECT]["name"] = "steady"


def load_nowhere(_: Site, __: Path, record: Record) -> None:
    evidence_of(record, "load")["facts"] = {"loads": {}}


def lock_a_neighbour(_: Site, folder: Path, __: Record) -> None:
    """Bring a list of the files that another package's build may fetch."""
    path = folder / "store/index/locks/build/steady@debian-12.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"job": "build:steady@debian-12", "files": []}))


def name_a_path_in_the_index_cache(site: Site, folder: Path, _: Record) -> None:
    path = folder / "store/index/projects/planted.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"filename": "../../x", "hashes": {"sha256": str(site.secret)}}]))


def link_the_index_cache(site: Site, folder: Path, _: Record) -> None:
    """Link a file of the index cache to the host's, under the hash that it has."""
    sha256 = hash_file(site.secret)
    path = folder / "store/index/files" / sha256[:2] / sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(site.secret)


def send_escapes(_: Site, __: Path, record: Record) -> None:
    load = evidence_of(record, "load")
    load |= {
        "outcome": "undetermined",
        "reason": "\x1b[2J\x1b]8;;http://link.invalid/\x07x\ud800",
        "facts": {"code": "WF902"},
    }


def nest_deeply(path: Path) -> None:
    path.write_text('{"schema_version": 1, "found": ' + "[" * 200_000 + "]" * 200_000 + "}")


def write_three_gigabytes(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 << 30)


# --- what is looked for -----------------------------------------------------------------------------------------------


def check_evidence_of_steady(world: World) -> None:
    """The neighbour's evidence is the one of its own shard, in the ledger too."""
    (build,) = _evidence_about(world.site, "steady", "build")
    with Store(world.wheelhouse) as store:
        recorded = store.get(build["key"])
        planted = store.get(PLANTED_KEY)
    assert recorded is None or recorded.files == build["files"], (
        "the neighbour's evidence was replaced"
    )
    assert planted is None, "evidence about the neighbour was taken in"


def check_no_planted_image(world: World) -> None:
    with Store(world.wheelhouse) as store:
        for job in ("image:planted", "image:builder@debian-12", "image:debian-12"):
            recorded = store.get(image_key(job))
            is_planted = recorded is not None and "planted" in str(dict(recorded.facts))
            assert not is_planted, f"{job} was taken in"


def check_no_lock(world: World) -> None:
    lock = world.wheelhouse / "store/index/locks/build/steady@debian-12.json"
    assert not lock.exists(), "a lock of the neighbour was taken in"


def check_only_own_wheels(world: World) -> None:
    """A project's folder has wheels of that project alone, and the neighbour has its own."""
    for path in (world.wheelhouse / "simple").rglob("*.whl"):
        assert path.name.startswith(f"{path.relative_to(world.wheelhouse / 'simple').parts[0]}-"), (
            path
        )
    names = [name for name in world.served("steady") if name.endswith(".whl")]
    assert names == [STEADY_WHEEL], f"steady has {names}"


def check_not_admitted(world: World) -> None:
    was_refused = world.exit_code == MergeError.exit_code
    assert was_refused or world.verdicts_of(SUBJECT) == ("undetermined",), world.verdicts_of(
        SUBJECT
    )


def check_no_controls(world: World) -> None:
    assert b"\x1b" not in world.output, "an escape sequence was printed"
    for path in (world.wheelhouse / "report").rglob("*"):
        if path.is_file():
            assert b"\x1b" not in path.read_bytes(), f"{path.name} has an escape sequence"


_LEDGER = "ledger, index and verdicts of the others"
_HOST = "files of the host, what is published"
_ANY = ("compatible", "undetermined", "build-failure", "import-failure", "abi-mismatch")
"""A refused merge leaves what was there; what is looked for are traces in the others."""


def _attack(name: str, make: Callable[[Site], str], checked: str, **fields: Any) -> Attack:
    return Attack(
        name=name, kind="shard", subject=SUBJECT, make=make, checked=checked,
        **{"point": "14", "verdicts": _ANY, "seconds": 60.0, **fields},
    )  # fmt: skip


ATTACKS = (
    _attack("judges-a-neighbour", change(judge_a_neighbour), _LEDGER, check=check_evidence_of_steady),
    _attack("takes-a-neighbours-key", change(take_a_neighbours_key), _LEDGER, check=check_evidence_of_steady),
    _attack("brings-an-image", change(bring_an_image), _LEDGER, check=check_no_planted_image),
    _attack("links-a-log", change(link_a_log), _HOST),
    _attack("links-a-log-folder", change(link_a_log_folder), _HOST),
    _attack("links-a-file", change(link_a_file), _HOST),
    _attack("path-as-a-hash", change(name_a_path_as_a_hash), _HOST, point="4"),
    _attack("path-as-a-file-name", change(name_a_path_as_a_file), _HOST, point="4"),
    _attack("brings-a-neighbours-wheel", change(bring_a_neighbours_wheel), _HOST, point="6", check=check_only_own_wheels),
    _attack("is-a-neighbour", change(be_a_neighbour), _LEDGER, check=check_only_own_wheels),
    _attack("loaded-nowhere", change(load_nowhere), "verdict", point="6", check=check_not_admitted),
    _attack("locks-a-neighbour", change(lock_a_neighbour), _LEDGER, check=check_no_lock),
    _attack("path-in-the-index-cache", change(name_a_path_in_the_index_cache), _HOST),
    _attack("links-the-index-cache", change(link_the_index_cache), _HOST),
    _attack("sends-escapes", change(send_escapes), "terminal, report", point="8", check=check_no_controls),
    _attack("wheel-name-is-a-requirement", change(name_a_wheel_as_a_requirement), "constraints files", point="medium", check=check_recorded_names),
    _attack("deep-record", replace_file(nest_deeply), "memory and time"),
    _attack("huge-record", replace_file(write_three_gigabytes), "memory and time", point="12"),
    _attack("endless-record", replace_file(os.mkfifo), "memory and time", point="12"),
)  # fmt: skip

# --- what a package does to the record of an honest machine -----------------------------------------------------------

_GROWING = "\x7f" * 16_000  # each character is four once it is clean


def grow_when_cleaned(name: str) -> bytes:
    """Answer within all limits, with texts that pass them once they are clean."""
    (load,) = load_answer(name)
    (module,) = load["modules"]
    load["modules"] = [
        {**module, "module": f"{name}.m{number}", "error": _GROWING} for number in range(800)
    ]
    return json.dumps([load], ensure_ascii=False).encode()


def _package_attack(name: str, make: Callable[[Site], str], verdicts: tuple[str, ...]) -> Attack:
    return Attack(
        name=name, kind="sdist", subject=SUBJECT, make=make, checked="merge, evidence of the others",
        point="14", verdicts=verdicts, seconds=60.0,
    )  # fmt: skip


_LONG_MARKER = " or ".join(["python_version > '3'"] * 300)

PACKAGE_ATTACKS = (
    _package_attack("requirement-without-end", sdist(f"Requires-Dist: a; {_LONG_MARKER}"), _ANY),
    _package_attack("requirements-in-thousands", sdist(*["Requires-Dist: a; extra == 'x'"] * 5_000), _ANY),
    _package_attack("requirement-that-grows", sdist(f"Requires-Dist: {_GROWING[:4000]}"), _ANY),
    _package_attack("version-that-grows", sdist(version=f"1.{'1' * 123}-1"), _ANY),
    _package_attack("answer-that-grows", answer(grow_when_cleaned), ("undetermined",)),
)  # fmt: skip
"""Packages that an honest machine runs in its shard: what they answer is recorded, and has to be taken by a merge."""
