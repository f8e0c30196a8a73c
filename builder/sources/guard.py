"""Each package has its guard: whatever is raised while it is resolved or read becomes a finding about it alone."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

from builder.distributions.members import NotAnSdistError
from builder.distributions.metadata import NotADistributionError
from builder.errors import FarmError, Interrupted, NoSpaceError
from builder.sources.errors import (
    FileMismatchError,
    MalformedAnswerError,
    NoIndexAnswerError,
    RefusedAddressError,
    UnusableFileError,
)
from builder.sources.model import Fault
from builder.store.database import LedgerFault
from builder.store.files import translate_disk_full
from builder.untrusted.names import UntrustedNameError
from builder.untrusted.reading import TooLargeError, TooSlowError
from builder.untrusted.text import clean_line, clean_text

if TYPE_CHECKING:
    from builder.store.store import Store
    from builder.verdicts.codes import FindingCode

_CODES: tuple[tuple[type[Exception], FindingCode], ...] = (
    (NoIndexAnswerError, "WF106"),
    (UnusableFileError, "WF105"),
    (FileMismatchError, "WF103"),
    (RefusedAddressError, "WF111"),
    (MalformedAnswerError, "WF112"),
    (NotADistributionError, "WF112"),
    (NotAnSdistError, "WF112"),
    (UntrustedNameError, "WF112"),
    (TooLargeError, "WF112"),
    (TooSlowError, "WF112"),
)
"""What is foreseen, and the finding that it is."""

_FARMS_OWN = (FarmError, Interrupted, LedgerFault)
"""What is about the farm and not about a package: a full disk, a stop, a ledger that does not answer."""

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_LOG_FOLDER = "sources"


def make_fault(name: str, error: Exception, store: Store, version: str = "") -> Fault:
    """Return what was raised about a package as its fault.

    What is not foreseen is perhaps a bug of the farm: then the fault says so, and names a log with the traceback.

    Args:
        name: the package.
        error: what was raised.
        store: has the folder of logs.
        version: the release, if it is known.

    Raises:
        Exception: the error itself, where it is about the farm or this machine.
    """
    if isinstance(error, _FARMS_OWN):
        raise error
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        raise NoSpaceError(store.wheelhouse) from error

    for kind, code in _CODES:
        if isinstance(error, kind):
            return Fault(name=name, code=code, detail=clean_line(str(error)), version=version)

    if isinstance(error, MemoryError | RecursionError):
        need = "more memory" if isinstance(error, MemoryError) else "a deeper recursion"
        detail = f"to read what it states about itself takes {need} than there is"
        return Fault(name=name, code="WF112", detail=detail, version=version)

    log = _write_traceback(name, error, store)
    observed = clean_line(f"{type(error).__name__}: {error}")
    detail = f"{observed}; perhaps this is a bug in wheelfarm: {log} has the traceback"
    return Fault(name=name, code="WF113", detail=detail, version=version)


def describe_trouble(name: str, error: Exception, store: Store) -> str:
    """Return what was raised about what a package needs, as a sentence.

    Args:
        name: as for `make_fault`.
        error: as for `make_fault`.
        store: as for `make_fault`.

    Raises:
        Exception: as for `make_fault`.
    """
    return make_fault(name, error, store).detail


def _write_traceback(name: str, error: Exception, store: Store) -> str:
    """Write an error's traceback to a log, and return its path, relative to the wheelhouse."""
    path = store.wheelhouse / "logs" / _LOG_FOLDER / f"{name}.log"
    text = clean_text("".join(traceback.format_exception(error)))
    with translate_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(path.relative_to(store.wheelhouse))
