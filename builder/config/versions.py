"""Several versions of one project in a matrix: `[packages.numpy]` beside `[packages."numpy==2.3.4"]`.

The table that is named by the project alone says for all of them how the project is built. What is about one release,
its hashes, patches and the ABIs to skip, each table says for itself.
"""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.untrusted.names import UntrustedNameError
from builder.untrusted.package_names import parse_package_name, table_key


def normalize_names(packages: object, mistakes: list[tuple[str, str]]) -> object:
    """Return the tables of packages under their canonical names, and add each bad name to `mistakes`.

    Bad are invalid names, and names that are the same once they are canonical. What is no table is returned as it is,
    for pydantic to complain about.
    """
    if not isinstance(packages, dict):
        return packages

    named: dict[str, object] = {}
    for name, table in packages.items():
        where = f"packages.{table_key(name)}"
        try:
            canonical = str(parse_package_name(name))
        except UntrustedNameError:
            hint = "expected one such as 'lxml', or 'lxml==6.0.2' beside another version"
            mistakes.append((where, f"is no valid name for a package; {hint}"))
            canonical = name
        if canonical in named:
            mistakes.append((where, f"is {canonical!r} once more; keep one of the two"))
            canonical = name  # so that mistakes inside either are found as well
        named[canonical] = table

    return named


def pinned_version(specifier: str) -> Version | None:
    """Return the version that a specifier asks for by `==`; None where it leaves a choice."""
    clauses = list(SpecifierSet(specifier))
    if len(clauses) != 1 or clauses[0].operator != "==" or clauses[0].version.endswith(".*"):
        return None
    return Version(clauses[0].version)
