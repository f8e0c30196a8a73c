"""The part of GitHub's API that issues need, and what it refuses: a token, a body, a label, a number, a state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.report.notify.web_server import Answer, Asked, Reply, WebServer, serve

TOKEN = "ghp_0123456789abcdef"
MAX_BODY = 65_536
WRITABLE = {"title", "body", "labels", "state", "state_reason"}


def reply(status: int, content: object, **headers: str) -> Reply:
    return Reply(status, json.dumps(content).encode(), headers)


def refuse(status: int, message: str) -> Reply:
    return reply(status, {"message": message, "documentation_url": "https://docs.invalid"})


@dataclass
class Github:
    """A repository.

    Attributes:
        issues: by number.
        may_label: whether the token may set labels; they are left out silently where it may not.
        trouble: answers that come in place of the right ones, by method and end of the path; each once.
    """

    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    may_label: bool = True
    trouble: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    server: WebServer = field(init=False)

    @property
    def open_issues(self) -> list[dict[str, Any]]:
        return [issue for issue in self.issues.values() if issue["state"] == "open"]

    @property
    def writes(self) -> list[str]:
        """Methods and paths of all requests that change something."""
        return [
            f"{one.method} {one.path.removeprefix('/repos/o/r')}"
            for one in self.server.asked
            if one.method != "GET"
        ]

    def add_issue(self, title: str, body: str | None, labels: list[str], **more: Any) -> int:
        number = len(self.issues) + 1
        self.issues[number] = {
            "id": number * 1000,
            "number": number,
            "title": title,
            "body": body,
            "labels": [{"id": 1, "name": label} for label in labels],
            "state": "open",
            "user": {"login": "farm"},
            **more,
        }
        return number

    def answer(self, asked: Asked) -> Answer:
        address = urlsplit(asked.path)
        for (method, ending), answers in self.trouble.items():
            if asked.method == method and address.path.endswith(ending) and answers:
                return answers.pop(0)

        if asked.headers["Authorization"] != f"Bearer {TOKEN}":
            return refuse(401, "Bad credentials")
        if not asked.headers["User-Agent"]:
            return refuse(403, "Request forbidden by administrative rules.")
        return self._route(asked)

    def _route(self, asked: Asked) -> Reply:
        address = urlsplit(asked.path)
        match = re.fullmatch(
            r"/repos/o/r/issues(?:/(?P<number>\d+))?(?P<comments>/comments)?", address.path
        )
        if match is None:
            return refuse(404, "Not Found")

        content: dict[str, Any] = json.loads(asked.content) if asked.content else {}
        if len(content.get("body") or "") > MAX_BODY:
            return refuse(422, "Validation Failed: body is too long (maximum is 65536 characters)")
        if match["number"] is None:
            return (
                self._list(parse_qs(address.query))
                if asked.method == "GET"
                else self._create(content)
            )

        number = int(match["number"])
        if number not in self.issues:
            return refuse(404, "Not Found")
        if match["comments"] and asked.method == "POST":
            return self._comment(number, content)
        return (
            self._change(number, content) if asked.method == "PATCH" else refuse(404, "Not Found")
        )

    def _list(self, query: dict[str, list[str]]) -> Reply:
        wanted = set(query["labels"][0].split(","))
        found = [
            issue
            for issue in self.issues.values()
            if issue["state"] == query["state"][0]
            and wanted <= {label["name"] for label in issue["labels"]}
        ]
        size, page = int(query["per_page"][0]), int(query["page"][0])
        if size > 100:
            return refuse(422, "Validation Failed")
        return reply(200, found[(page - 1) * size : page * size])

    def _create(self, content: dict[str, Any]) -> Reply:
        if not content.get("title") or not set(content) <= WRITABLE - {"state", "state_reason"}:
            return refuse(422, "Validation Failed")
        labels = content.get("labels", []) if self.may_label else []
        number = self.add_issue(content["title"], content.get("body"), labels)
        return reply(201, self.issues[number])

    def _comment(self, number: int, content: dict[str, Any]) -> Reply:
        if not content.get("body"):
            return refuse(422, "Validation Failed: body can't be blank")
        self.comments.setdefault(number, []).append(content["body"])
        return reply(201, {"id": 7, "body": content["body"]})

    def _change(self, number: int, content: dict[str, Any]) -> Reply:
        reasons = {None, "completed", "not_planned", "reopened", "duplicate"}
        is_valid = (
            set(content) <= WRITABLE
            and content.get("state", "open") in {"open", "closed"}
            and content.get("state_reason") in reasons
        )
        if not is_valid:
            return refuse(422, "Validation Failed")
        self.issues[number].update(content)
        return reply(200, self.issues[number])


@contextmanager
def fake_github() -> Iterator[Github]:
    """Serve an empty repository o/r."""
    github = Github()
    with serve(github.answer) as server:
        github.server = server
        yield github
