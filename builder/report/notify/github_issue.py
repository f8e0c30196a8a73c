"""`kind = "github-issue"`: one open issue per matrix, found by its label and a mark in its text, and kept current.

https://docs.github.com/en/rest/issues, version 2022-11-28 of the API.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from builder.report.notify import issue_text
from builder.report.notify.attempts import DeliveryError
from builder.report.notify.http_door import HttpDoor, Patience, Request
from builder.report.notify.issue_text import IssueState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.notify import GithubIssue
    from builder.report.documents.alert import AlertDocument
    from builder.report.notify.alert import Night
    from builder.report.notify.secrets import Secrets

_PER_PAGE = 100  # the most that the API gives
_MAX_PAGES = 5  # open issues with the label: one is usual
_ANSWER_BYTES = (
    64 << 20
)  # a page of issues, each with 65,536 characters at most, as JSON writes them

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

T = TypeVar("T")


class _Answer(BaseModel):
    # Further keys are no mistake: a service may add some.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Label(_Answer):
    name: str


class _Issue(_Answer):
    number: int
    title: str = ""
    body: str | None = None
    labels: tuple[_Label, ...] = ()
    pull_request: dict[str, object] | None = None


_ISSUES = TypeAdapter(tuple[_Issue, ...])
_ISSUE = TypeAdapter(_Issue)
_COMMENT = TypeAdapter(_Answer)


class GithubIssueChannel:
    """Keeps an issue current.

    Attributes:
        keeps_record: whether a night in which nothing got worse matters to it: the issue may be done with.
    """

    keeps_record = True

    def __init__(
        self, target: GithubIssue, name: str, secrets: Secrets, patience: Patience
    ) -> None:
        """Make the channel; nothing is sent.

        Args:
            target: the table.
            name: of the table.
            secrets: of the target.
            patience: how long a try may take.
        """
        self._url = f"{target.api}/repos/{target.repository}/issues"
        self._repository = target.repository
        self._labels = target.labels
        self._name = name
        self._token = secrets.get("token-env")
        self._door = HttpDoor(secrets, patience)

    @staticmethod
    def render(alert: AlertDocument) -> str:
        """Return what is sent, as text: the comment, or the test message."""
        if alert.kind == "test":
            return issue_text.TEST_BODY
        return issue_text.render_comment(alert)

    def send(self, night: Night) -> str:
        """Make, change, comment on or close the issue as the night wants it, and return what was done.

        Raises:
            DeliveryError: the API did not do it.
        """
        if night.alert.kind == "test":
            return self._send_test()

        marker = issue_text.make_marker(self._name, night.alert.matrix)
        found = self._find(marker)
        if found is None:
            return self._open(night, marker)
        return self._update(night, marker, *found)

    def _send_test(self) -> str:
        issue = self._create(issue_text.TEST_TITLE, issue_text.TEST_BODY)
        self._change(issue.number, {"state": "closed", "state_reason": "not_planned"})
        return f"opened and closed issue {issue.number}"

    def _open(self, night: Night, marker: str) -> str:
        """Make the issue, if there is anything to tell."""
        state = issue_text.advance(IssueState(), night)
        if state.is_done:
            return ""

        title = issue_text.render_title(state, night.alert.matrix)
        issue = self._create(title, issue_text.render_body(state, night, marker))
        return f"opened issue {issue.number}"

    def _update(self, night: Night, marker: str, issue: _Issue, before: IssueState) -> str:
        """Change the issue that is open, comment on it if there is news, and close it if there is nothing left."""
        state = issue_text.advance(before, night)
        title = issue_text.render_title(state, night.alert.matrix)
        body = issue_text.render_body(state, night, marker)
        if state.is_done:
            closed = {"body": body, "state": "closed", "state_reason": "completed"}
            self._change(issue.number, closed)
            self._comment(issue.number, issue_text.CLOSING)
            return f"closed issue {issue.number}"

        has_news = bool(night.alert.regressions) and state.last != before.last
        if has_news:
            self._comment(issue.number, issue_text.render_comment(night.alert))

        is_current = (issue.title, _unify_lines(issue.body or "")) == (title, body)
        if not is_current:
            self._change(issue.number, {"title": title, "body": body})

        if has_news:
            return f"commented on issue {issue.number}"
        return "" if is_current else f"changed issue {issue.number}"

    def _find(self, marker: str) -> tuple[_Issue, IssueState] | None:
        """Return the oldest open issue of this target, and what it remembers; None where there is none."""
        for page in range(1, _MAX_PAGES + 1):
            query = {
                "state": "open",
                "labels": ",".join(self._labels),
                "sort": "created",
                "direction": "asc",
                "per_page": str(_PER_PAGE),
                "page": str(page),
            }
            issues = self._ask("GET", f"{self._url}?{urlencode(query)}", None, _ISSUES)
            for issue in issues:
                state = issue_text.parse_state(issue.body or "", marker)
                if issue.pull_request is None and state is not None:
                    return issue, state
            if len(issues) < _PER_PAGE:
                break

        return None

    def _create(self, title: str, body: str) -> _Issue:
        """Make an issue.

        Raises:
            DeliveryError: the API did not, or left the labels out, by which the next night would look for it.
        """
        content = {"title": title, "body": body, "labels": list(self._labels)}
        issue = self._ask("POST", self._url, content, _ISSUE)

        # GitHub leaves labels out without an error where the token may not set them.
        names = {label.name.lower() for label in issue.labels}
        missing = [label for label in self._labels if label.lower() not in names]
        if missing:
            raise DeliveryError(
                f"issue {issue.number} was opened without the label {missing[0]!r}, and is not found again without it: "
                f"set it there, and give the token write access to {self._repository}"
            )
        return issue

    def _comment(self, number: int, body: str) -> None:
        self._ask("POST", f"{self._url}/{number}/comments", {"body": body}, _COMMENT)

    def _change(self, number: int, fields: Mapping[str, str]) -> None:
        self._ask("PATCH", f"{self._url}/{number}", fields, _ISSUE)

    def _ask(
        self,
        method: Literal["GET", "POST", "PATCH"],
        url: str,
        content: Mapping[str, object] | None,
        kind: TypeAdapter[T],
    ) -> T:
        """Return what the API answers.

        Raises:
            DeliveryError: it refuses, or answers something else.
        """
        request = Request(
            method=method,
            url=url,
            content=None if content is None else json.dumps(content).encode(),
            token=self._token,
            headers=_HEADERS,
            # An issue or a comment that is made twice stays there twice.
            repeat="refused" if method == "POST" else "always",
            limit_bytes=_ANSWER_BYTES,
        )
        answer = self._door.send(request)
        try:
            return kind.validate_json(answer)
        except ValidationError:
            raise DeliveryError(
                "the answer is none of GitHub's API; check `api`, which ends with `/api/v3` for a server of your own"
            ) from None


def _unify_lines(text: str) -> str:
    """Return the text of an issue with the line ends it was sent with: who edits it in a browser gives it others."""
    return text.replace("\r\n", "\n")
