"""The wheels of `simple/` -> an index that takes uploads, by twine. What a target has is remembered by sha256.

Credentials are twine's affair: its environment variables, `.pypirc`, the keyring. They are never read here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import tempfile
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from twine.commands.upload import skip_upload
from twine.exceptions import InvalidDistribution, NonInteractive, TwineException
from twine.package import PackageFile
from twine.repository import Repository
from twine.settings import Settings

from builder import host
from builder.errors import Interrupted, TargetError
from builder.index.manifest import SERVED_CHANNEL
from builder.index.snapshots import current_manifests
from builder.store.files import file_sha256

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from builder.index.manifest import Entry
    from builder.store.store import Store

MAX_TRIES = 7
"""How often a file is sent before the target counts as silent."""
_FIRST_PAUSE_S = 0.5
_RETRY_STATUSES = frozenset({408, 425, 429})
_DENIED_STATUSES = frozenset({401, 403})
_NO_UPLOAD_STATUSES = frozenset({404, 405, 410})
_REMEDY = "set TWINE_USERNAME and TWINE_PASSWORD, or write them into ~/.pypirc"


class UploadOutcome(StrEnum):
    """What became of one file."""

    SENT = "sent"
    """The target took it now."""
    PRESENT = "there"
    """The target has it already: it says so, or an earlier upload is remembered."""
    REFUSED = "refused"
    """The target does not take it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadResult:
    """One file and what became of it.

    Attributes:
        detail: why, for a person; empty where it was sent.
    """

    filename: str
    sha256: str
    outcome: UploadOutcome
    detail: str = ""

    def record(self) -> dict[str, str]:
        """Return the fields as JSON data."""
        return {
            "filename": self.filename, "sha256": self.sha256, "outcome": self.outcome.value, "detail": self.detail,
        }  # fmt: skip


class Target:
    """An index that takes uploads, with twine's settings for it.

    Attributes:
        url: where files are sent, without credentials.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = str(settings.repository_config["repository"])
        self._repository: Repository | None = None

    def send(self, package: PackageFile) -> requests.Response:
        """Send a file once.

        Raises:
            requests.RequestException: the connection failed.
        """
        with contextlib.redirect_stdout(io.StringIO()):  # twine prints its progress
            return self._connection().upload(package, max_redirects=1)

    def close(self) -> None:
        """Close the connection; the next file is sent over a new one."""
        if self._repository is not None:
            self._repository.close()
            self._repository = None

    def _connection(self) -> Repository:
        if self._repository is None:
            try:
                self._repository = self._settings.create_repository()
            except NonInteractive:  # an index on one's own network may ask for none
                self._repository = Repository(self.url, None, None, disable_progress_bar=True)
                self._repository.set_certificate_authority(self._settings.cacert)
            except TwineException as error:
                raise TargetError(
                    self.url, f"no credentials could be had ({error})", remedy=_REMEDY
                ) from None
        return self._repository


def find_target(name: str) -> Target:
    """Return the target of a URL, or of a repository's name in `.pypirc`.

    Raises:
        TargetError: there is no such repository, or the URL is none.
    """
    parser = argparse.ArgumentParser()
    Settings.register_argparse_arguments(parser)
    given = parser.parse_args(
        ["--non-interactive", "--disable-progress-bar"]
    )  # with twine's variables
    given.repository_url, given.repository = (name, "") if "://" in name else (None, name)
    try:
        settings = Settings.from_argparse(given)
    except TwineException as error:
        raise TargetError(
            _strip_credentials(name), str(error), remedy="name a URL, or a repository of ~/.pypirc"
        ) from None
    settings.cacert = settings.cacert or str(host.ca_bundle())
    logging.getLogger("twine").setLevel(logging.ERROR)  # where no keyring is, that is no news
    return Target(settings)


def upload(
    store: Store, to: Target, say: Callable[[str], None], stop: threading.Event
) -> tuple[UploadResult, ...]:
    """Upload what `simple/` holds and the target does not have.

    Args:
        store: the wheelhouse; the caller holds its lock.
        to: where to.
        say: shows progress.
        stop: set when the farm is asked to stop.

    Returns:
        Every file, in the order of their names.

    Raises:
        TargetError: the target does not answer, or takes no uploads from us; what it has is remembered.
        Interrupted: the farm was asked to stop; what was sent is remembered.
    """
    entries = [
        entry for files in current_manifests(store)[SERVED_CHANNEL].values() for entry in files
    ]
    known = store.uploads(to.url)
    names = {filename for filename, _ in known}
    done: list[UploadResult] = []
    try:
        for place, entry in enumerate(entries, 1):
            say(f"uploading {place} of {len(entries)}: {entry.filename}")
            if (entry.filename, entry.sha256) in known:
                done.append(_make_result(entry, UploadOutcome.PRESENT, "uploaded before"))
                continue
            done.append(_upload_file(entry, store, to, stop, replaces=entry.filename in names))
            if done[-1].outcome is not UploadOutcome.REFUSED:
                store.add_upload(to.url, entry.filename, entry.sha256)
    finally:
        to.close()
    return tuple(done)


def _make_result(entry: Entry, outcome: UploadOutcome, detail: str = "") -> UploadResult:
    return UploadResult(
        filename=entry.filename, sha256=entry.sha256, outcome=outcome, detail=detail
    )


def _upload_file(
    entry: Entry, store: Store, to: Target, stop: threading.Event, *, replaces: bool
) -> UploadResult:
    """Upload a file.

    Args:
        entry: the file.
        store: has it.
        to: where to.
        stop: set when the farm is asked to stop.
        replaces: the target was sent another build of this name before.
    """
    if (
        not store.has_files({"": entry.sha256})
        or file_sha256(store.file(entry.sha256)) != entry.sha256
    ):
        return _make_result(
            entry,
            UploadOutcome.REFUSED,
            "the store's file is missing or damaged; `wheelfarm run` makes it anew",
        )
    with _named_copy(entry, store) as path:
        try:
            package = PackageFile.from_filename(str(path), None)
        except (InvalidDistribution, zipfile.BadZipFile) as error:
            return _make_result(entry, UploadOutcome.REFUSED, str(error))
        answer = _send_with_retries(package, to, stop)
    if skip_upload(answer, skip_existing=True, package=package):
        if replaces:
            return _make_result(
                entry,
                UploadOutcome.REFUSED,
                "the target has an earlier build under this name, and keeps it",
            )
        return _make_result(
            entry, UploadOutcome.PRESENT, "the target says that it has a file of this name"
        )
    return _interpret_response(entry, answer, to)


@contextlib.contextmanager
def _named_copy(entry: Entry, store: Store) -> Iterator[Path]:
    """Give a file of the store under its own name."""
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        path = Path(folder) / entry.filename
        path.symlink_to(store.file(entry.sha256))
        yield path


def _send_with_retries(
    package: PackageFile, to: Target, stop: threading.Event
) -> requests.Response:
    """Send a file until the target answers; a connection that was cut, or a busy target, is tried again later."""
    pause_s, why = _FIRST_PAUSE_S, ""
    for tried in range(MAX_TRIES):
        if stop.is_set() or (tried and stop.wait(pause_s)):
            raise Interrupted
        pause_s *= 2 if tried else 1
        try:
            response = to.send(package)
        except requests.RequestException as error:
            to.close()
            why = type(error).__name__  # its text may carry an address with credentials
            continue
        if (
            response.status_code not in _RETRY_STATUSES
            and response.status_code < requests.codes.internal_server_error
        ):
            return response
        why = f"status {response.status_code}"
    raise TargetError(
        to.url,
        f"did not answer to {MAX_TRIES} tries ({why})",
        remedy="run the command again to go on",
    )


def _interpret_response(entry: Entry, response: requests.Response, to: Target) -> UploadResult:
    status = response.status_code
    said = f"status {status}: {_reason(response)}"
    if response.ok and not response.is_redirect:
        return _make_result(entry, UploadOutcome.SENT)
    if response.is_redirect:
        raise TargetError(
            to.url, f"redirects uploads ({said})", remedy="name the address that takes them"
        )
    if status in _DENIED_STATUSES:
        raise TargetError(to.url, f"does not let us in ({said})", remedy=_REMEDY)
    if status in _NO_UPLOAD_STATUSES:
        raise TargetError(
            to.url,
            f"takes no uploads ({said})",
            remedy="name the address for uploads, not the index",
        )
    return _make_result(entry, UploadOutcome.REFUSED, said)


def _reason(response: requests.Response) -> str:
    words = " ".join(response.reason.split()) if response.reason else ""
    return words[:200]


def _strip_credentials(name: str) -> str:
    scheme, sep, rest = name.partition("://")
    host_part, slash, path = rest.partition("/")
    return f"{scheme}{sep}{host_part.rpartition('@')[2]}{slash}{path}"
