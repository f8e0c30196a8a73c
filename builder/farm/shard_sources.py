"""Which shards there are, and of which packages: all of one run, each with the packages that the plan gives it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from builder.distributions.identity import explain_mismatch
from builder.distributions.tags import accepts_wheel, is_pure_wheel
from builder.errors import MergeError
from builder.farm.shard_record import RECORD_FILE, matrix_digest
from builder.farm.shard_results import ShardResults, iter_pure
from builder.plan import shards
from builder.sources import Fault, Source, Sources

if TYPE_CHECKING:
    from builder.config.matrix import Matrix


def check_shards(in_order: list[ShardResults], matrix: Matrix) -> None:
    """Check that the records are those of all shards of one run of this matrix, each of them once.

    Raises:
        MergeError: a shard is of another matrix, of another run, given twice, or missing.
    """
    if not in_order:
        return

    expected_matrix = matrix_digest(matrix)
    total = max(shard.record.of for shard in in_order)
    numbers: set[int] = set()
    for shard in in_order:
        record = shard.record
        if record.matrix != expected_matrix:
            raise MergeError(shard.folder.path, "is a shard of another matrix than --matrix names")

        is_of_this_run = record.of == total and record.number <= total
        if not is_of_this_run or record.number in numbers:
            reason = f"shard {record.number}/{record.of} does not go with the other shards"
            raise MergeError(shard.folder.path, reason)
        numbers.add(record.number)

    missing = sorted(set(range(1, total + 1)) - numbers)
    if missing:
        names = ", ".join(f"{number}/{total}" for number in missing)
        reason = f"is one of {total} shards, and {names} is missing"
        raise MergeError(in_order[0].folder.path, reason)


def join_sources(in_order: list[ShardResults], matrix: Matrix) -> Sources:
    """Return the sources of all shards, each of which has exactly the packages that the plan gives it.

    Raises:
        MergeError: a package of the matrix is in no shard, or one is in several or in another than its own; or a source
            is not what the matrix asks for.
    """
    counts: Counter[str] = Counter()
    found: dict[str, Source] = {}
    faults: dict[str, Fault] = {}
    for shard in in_order:
        for name, source in shard.sources.found.items():
            _check_source(shard, name, source, matrix)
        counts.update([*shard.sources.found, *shard.sources.faults])
        found |= shard.sources.found
        faults |= shard.sources.faults

    joined = Sources(found=found, faults=faults)
    if not in_order:
        return joined

    for name in {*matrix.packages, *counts}:
        if counts[name] != 1:
            reason = (
                f"{name} is in {counts[name]} shards: they saw different releases; "
                "plan and run them again"
            )
            raise MergeError(in_order[0].folder.path, reason)

    for shard, owned in zip(in_order, shards.partition(joined, len(in_order)), strict=True):
        foreign = {*shard.sources.found, *shard.sources.faults} - set(owned)
        if foreign:
            own = f"shard {shard.record.number}/{shard.record.of}"
            reason = f"{RECORD_FILE}: {min(foreign)} is no package of {own} by the plan"
            raise shard.refuse(reason, "plan and run the shards again")

    _check_pure_wheels(in_order, joined)
    return joined


def _check_source(shard: ShardResults, name: str, source: Source, matrix: Matrix) -> None:
    """Check that a source is one that the matrix may have: its own name, the release and hash that are asked for.

    Raises:
        MergeError: it is another, or of a package that nothing in the shard needs.
    """
    where = f"{RECORD_FILE}: found.{name}"
    if source.name != name:
        raise shard.refuse(f"{where}.name: it is {source.name}")

    _check_upstream(shard, where, source, matrix)
    settings = matrix.packages.get(name)
    if settings is None:
        if not _is_needed(name, shard.sources, matrix):
            raise shard.refuse(f"{where}: no package of the matrix in this shard needs it")
        return

    hashes = [wheel.sha256 for wheel in source.wheels]
    if source.sha256:
        hashes.append(source.sha256)
    for sha256 in hashes:
        if settings.sha256 and sha256 not in settings.sha256:
            wanted = " or ".join(settings.sha256)
            raise shard.refuse(f"{where}: {sha256}: the matrix says {wanted}")
    allowed = SpecifierSet(settings.version)
    if settings.version and not allowed.contains(source.version, prereleases=True):
        raise shard.refuse(f"{where}.version: the matrix asks for {settings.version}")


def _check_upstream(shard: ShardResults, where: str, source: Source, matrix: Matrix) -> None:
    """Check that a source is taken from where the matrix says, and that its wheels of upstream's are for their ABIs.

    Raises:
        MergeError: it is not.
    """
    if source.only_pure is not None:
        return

    wanted = matrix.source_of(source.name)
    if source.take_from != wanted:
        raise shard.refuse(f"{where}.take_from: the matrix says {wanted}")

    settings = matrix.packages.get(source.name)
    pure_abis = () if settings is None else settings.pure
    for wheel in source.wheels:
        if wheel.abi not in matrix.abis or not accepts_wheel(wheel.filename, wheel.abi):
            raise shard.refuse(f"{where}.wheels: {wheel.filename} is no wheel for {wheel.abi}")

        is_asked_for = wanted != "sdist" or wheel.abi in pure_abis
        is_right_kind = wheel.abi not in pure_abis or is_pure_wheel(wheel.filename)
        if not is_asked_for or not is_right_kind:
            raise shard.refuse(
                f"{where}.wheels: {wheel.filename} for {wheel.abi}: the matrix does not ask for it"
            )


def _is_needed(name: str, sources: Sources, matrix: Matrix) -> bool:
    """Return whether a package is there for the sake of one of the matrix, over any number of others."""
    seen: set[str] = set()
    while name not in matrix.packages:
        source = sources.found.get(name)
        if source is None or name in seen:
            return False
        seen.add(name)
        name = source.needed_by

    return name in sources.found


def _check_pure_wheels(in_order: list[ShardResults], joined: Sources) -> None:
    """Check that shards agree on the pure wheels that come with their packages, and that each is of its project.

    Raises:
        MergeError: two have one name and another hash, one is of a package that is built, or named as another's.
    """
    known: dict[str, str] = {}
    by_project: dict[str, list[Source]] = {}
    for source in joined.found.values():
        by_project.setdefault(source.project, []).append(source)

    for shard in in_order:
        for source in shard.sources.found.values():
            for pure in iter_pure(source):
                problem = explain_mismatch(pure.name, pure.version, pure.filename)
                if not problem and known.setdefault(pure.filename, pure.sha256) != pure.sha256:
                    problem = "another shard has it with another sha256"

                owners = by_project.get(pure.name, ())
                is_built = bool(owners) and all(owner.only_pure != pure for owner in owners)
                if not problem and is_built:
                    problem = f"{pure.name} is a package of its own"
                if problem:
                    where = f"{RECORD_FILE}: found.{source.name}: {pure.filename}"
                    raise shard.refuse(f"{where}: {problem}")
