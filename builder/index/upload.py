"""The wheels of a channel -> an index that takes uploads, by twine. What a target has is remembered by sha256.

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

from builder.errors import Interrupted, PromotionError, TargetError
from builder.host import settings as host
from builder.index.manifest import SERVED_CHANNEL
from builder.index.snapshots import current_manifests
from builder.index.verify import explain_unfit

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from builder.index.manifest import Entry
    from builder.store.store import Store

MAX_TRIES = 7
"""How often a file is sent before the target counts as silent."""

_FIRST_PAUSE_S = 0.5
"""Before the second try; each pause is twice the last, so all of them give a target half a minute to come back."""

_RETRY_STATUSES = frozenset({408, 425, 429})
"""Of a target that is busy: request timeout, too early, too many requests. Any 5xx is tried again too."""

_DENIED_STATUSES = frozenset({401, 403})

_NO_UPLOAD_STATUSES = frozenset({404, 405, 410})
"""Not found, method not allowed, gone: what an address answers that serves an index and takes no files."""

_MAX_REASON_CHARS = 200
"""Of a target's reason phrase, which stands in one line of a table."""

_REMEDY = "set TWINE_USERNAME and TWINE_PASSWORD, or write them into ~/.pypirc"


class UploadOutcome(StrEnum):
    """The result for one file."""

    SENT = "sent"
    """The target took it now."""
    PRESENT = "there"
    """The target has it already: it says so, or an earlier upload is remembered."""
    REFUSED = "refused"
    """The target does not take it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadResult:
    """A file and the result of its upload.

    Attributes:
        filename: name of the wheel.
        sha256: hash of its content.
        outcome: whether the target took it.
        detail: why not, for a person; empty if the target took it.
    """

    filename: str
    sha256: str
    outcome: UploadOutcome
    detail: str = ""

    def record(self) -> dict[str, str]:
        """Return the fields as JSON data."""
        return {
            "filename": self.filename,
            "sha256": self.sha256,
            "outcome": self.outcome.value,
            "detail": self.detail,
        }


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
        """Send a file once, and return the target's response, whatever it says.

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
            self._repository = self._connect()
        return self._repository

    def _connect(self) -> Repository:
        """Return a connection with the credentials that twine finds; without any, one that sends none.

        Raises:
            TargetError: twine finds no usable credentials.
        """
        try:
            return self._settings.create_repository()
        except NonInteractive:
            # There are no credentials and nobody to ask: an index on one's own network may want none.
            repository = Repository(self.url, None, None, disable_progress_bar=True)
            repository.set_certificate_authority(self._settings.cacert)
            return repository
        except TwineException as error:
            reason = f"no credentials found ({error})"
            raise TargetError(
                self.url, reason, remedy=_REMEDY
            ) from None  # the message has the cause


def find_target(name: str) -> Target:
    """Return the upload target that a URL, or the name of a repository in `.pypirc`, stands for.

    Raises:
        TargetError: there is no such repository, or the URL is malformed.
    """
    parser = argparse.ArgumentParser()
    Settings.register_argparse_arguments(
        parser
    )  # the defaults come from twine's environment variables
    options = parser.parse_args(["--non-interactive", "--disable-progress-bar"])
    is_url = "://" in name
    options.repository_url = name if is_url else None
    options.repository = "" if is_url else name

    try:
        settings = Settings.from_argparse(options)
    except TwineException as error:
        remedy = "name a URL, or a repository of ~/.pypirc"
        raise TargetError(
            _strip_credentials(name), str(error), remedy=remedy
        ) from None  # the message has the cause

    settings.cacert = settings.cacert or str(host.ca_bundle())
    logging.getLogger("twine").setLevel(logging.ERROR)  # it warns where no keyring is installed
    return Target(settings)


def upload(
    store: Store,
    target: Target,
    say: Callable[[str], None],
    stop: threading.Event,
    channel: str = SERVED_CHANNEL,
) -> tuple[UploadResult, ...]:
    """Upload the files of a channel that the target does not have.

    A file that was uploaded before is skipped. An upload that succeeded is recorded at once, so a later call goes on
    from where this one stopped.

    Args:
        store: the store of the wheelhouse; the caller holds its lock.
        target: the index to upload to.
        say: shows progress.
        stop: set when the farm is asked to stop.
        channel: `simple` or `canary`.

    Returns:
        The result for every file, in the order of their names.

    Raises:
        PromotionError: the index has no such channel.
        TargetError: the target does not answer, or takes no uploads from us.
        Interrupted: the farm was asked to stop.
    """
    manifests = current_manifests(store)
    if channel not in manifests:
        raise PromotionError.for_no_canary(store.wheelhouse)

    entries: list[tuple[str, Entry]] = []
    for project, files in manifests[channel].items():
        entries.extend((project, entry) for entry in files)
    uploaded = store.publications.uploads(target.url)
    uploaded_names = {filename for filename, _ in uploaded}

    results: list[UploadResult] = []
    try:
        for number, (project, entry) in enumerate(entries, 1):
            say(f"uploading {number} of {len(entries)}: {entry.filename}")
            if (entry.filename, entry.sha256) in uploaded:
                results.append(_make_result(entry, UploadOutcome.PRESENT, "uploaded before"))
                continue

            replaces = entry.filename in uploaded_names
            result = _upload_file(project, entry, store, target, stop, replaces=replaces)
            results.append(result)
            if result.outcome is not UploadOutcome.REFUSED:
                store.publications.add_upload(target.url, entry.filename, entry.sha256)
    finally:
        target.close()

    return tuple(results)


def _make_result(entry: Entry, outcome: UploadOutcome, detail: str = "") -> UploadResult:
    """Return the result for a file of the index."""
    return UploadResult(
        filename=entry.filename,
        sha256=entry.sha256,
        outcome=outcome,
        detail=detail,
    )


def _upload_file(
    project: str,
    entry: Entry,
    store: Store,
    target: Target,
    stop: threading.Event,
    *,
    replaces: bool,
) -> UploadResult:
    """Upload one file, and return whether the target took it, has it already, or refused it.

    The file is refused without asking the target if the store has lost or damaged it, or if it is no readable wheel of
    its project.

    Args:
        project: the project that lists the file.
        entry: the file.
        store: has its content.
        target: the index to upload to.
        stop: set when the farm is asked to stop.
        replaces: whether the target was sent another build under this name before. If so, "has it already" counts as a
            refusal, since the target keeps the earlier build.
    """
    reason = explain_unfit(project, entry, store)
    if reason:
        return _make_result(entry, UploadOutcome.REFUSED, reason)

    with _named_copy(entry, store) as path:
        try:
            package = PackageFile.from_filename(str(path), None)
        except (InvalidDistribution, zipfile.BadZipFile) as error:
            return _make_result(entry, UploadOutcome.REFUSED, str(error))
        response = _send_with_retries(package, target, stop)

    is_present = skip_upload(response, skip_existing=True, package=package)
    if is_present and replaces:
        reason = "the target has an earlier build under this name, and keeps it"
        return _make_result(entry, UploadOutcome.REFUSED, reason)
    if is_present:
        reason = "the target says that it has a file of this name"
        return _make_result(entry, UploadOutcome.PRESENT, reason)

    return _interpret_response(entry, response, target)


@contextlib.contextmanager
def _named_copy(entry: Entry, store: Store) -> Iterator[Path]:
    """Give the block a path that ends with the wheel's own name; twine reads metadata from the name.

    In the store a file is named by its sha256 only, so the path is a temporary link to it.
    """
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        path = Path(folder) / entry.filename
        path.symlink_to(store.file(entry.sha256))
        yield path


def _send_with_retries(
    package: PackageFile, target: Target, stop: threading.Event
) -> requests.Response:
    """Send a file, and again after growing pauses if the connection fails or the target is busy.

    Any other response is returned, a refusal too.

    Raises:
        TargetError: no try got an answer.
        Interrupted: the farm was asked to stop.
    """
    pause_s = _FIRST_PAUSE_S
    failure = ""
    for attempt in range(MAX_TRIES):
        if attempt > 0:
            stop.wait(pause_s)
            pause_s *= 2
        if stop.is_set():
            raise Interrupted

        try:
            response = target.send(package)
        except requests.RequestException as error:
            target.close()
            failure = type(error).__name__  # its text may carry an address with credentials
            continue

        is_busy = response.status_code in _RETRY_STATUSES
        has_failed = response.status_code >= requests.codes.internal_server_error
        if not is_busy and not has_failed:
            return response
        failure = f"status {response.status_code}"

    reason = f"did not answer to {MAX_TRIES} tries ({failure})"
    raise TargetError(target.url, reason, remedy="run the command again to go on")


def _interpret_response(entry: Entry, response: requests.Response, target: Target) -> UploadResult:
    """Return whether a response means that the file was taken or refused.

    Raises:
        TargetError: the target redirects uploads, denies access, or takes no uploads: no other file would fare better.
    """
    status = response.status_code
    answer = f"status {status}: {_reason(response)}"

    if response.is_redirect:
        reason = f"redirects uploads ({answer})"
        raise TargetError(target.url, reason, remedy="name the address that takes them")
    if response.ok:
        return _make_result(entry, UploadOutcome.SENT)
    if status in _DENIED_STATUSES:
        raise TargetError(target.url, f"does not let us in ({answer})", remedy=_REMEDY)
    if status in _NO_UPLOAD_STATUSES:
        reason = f"takes no uploads ({answer})"
        raise TargetError(target.url, reason, remedy="name the address for uploads, not the index")

    return _make_result(entry, UploadOutcome.REFUSED, answer)


def _reason(response: requests.Response) -> str:
    """Return the reason phrase of a response on one line, cut to a length that fits a table; empty if it has none."""
    if not response.reason:
        return ""

    words = " ".join(response.reason.split())
    return words[:_MAX_REASON_CHARS]


def _strip_credentials(name: str) -> str:
    """Return a target's URL without user name and password: `https://me:secret@pkg.invalid/` -> `https://pkg.invalid/`."""
    scheme, separator, address = name.partition("://")
    host_and_credentials, slash, path = address.partition("/")
    return f"{scheme}{separator}{host_and_credentials.rpartition('@')[2]}{slash}{path}"
