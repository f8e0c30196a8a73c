"""`[notify.NAME]`: every mistake has its dotted path, and no message quotes what may be a secret."""

from pathlib import Path

import pytest

from builder.config import matrix
from builder.config.notify import Email, GithubIssue, Slack, Webhook, find_missing_variables
from builder.config.values import NO_INPUTS
from builder.farm.shard_record import matrix_digest
from tests.unit.config.parsing import mistakes, parse

WHOLE = """
[packages.x]

[notify.hook]
kind = "webhook"
url = "http://10.0.0.7:8080/alerts"
token-env = "HOOK_TOKEN"
on = ["worse", "worse"]

[notify.chat]
kind = "slack"
url-env = "CHAT_URL"
report-url = "https://farm.invalid/report/"

[notify.tracker]
kind = "github-issue"
repository = "octo-org/wheels.farm"
api = "https://git.invalid/api/v3/"
token-env = "ISSUE_TOKEN"

[notify.mail]
kind = "email"
host = "mail.invalid"
from = "farm@mail.invalid"
to = ["a@mail.invalid", "b@mail.invalid"]
user = "farm"
password-env = "MAIL_PASSWORD"
"""


def targets(text: str):
    return parse(f"[packages.x]\n{text}").notify


def test_each_kind_is_read_with_its_defaults():
    hook, chat, tracker, mail = parse(WHOLE).notify.values()
    assert isinstance(hook, Webhook)
    assert hook.on == ("worse",)
    assert isinstance(chat, Slack)
    assert chat.on == ("worse", "undetermined", "application")
    assert isinstance(tracker, GithubIssue)
    assert (tracker.api, tracker.labels) == ("https://git.invalid/api/v3", ("wheelfarm",))
    assert isinstance(mail, Email)
    assert (mail.security, mail.server_port) == ("starttls", 587)


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("none", 25)])
def test_the_port_of_a_mail_server_follows_from_its_security(security: str, port: int):
    text = f'[notify.m]\nkind = "email"\nhost = "h"\nsecurity = "{security}"\nfrom = "a@b.invalid"\nto = ["c@d.invalid"]'
    mail = targets(text)["m"]
    assert isinstance(mail, Email)
    assert mail.server_port == port


MAIL = 'kind = "email"\nhost = "h"\nfrom = "a@b.invalid"\n'
ISSUE = 'kind = "github-issue"\nrepository = "o/r"\n'


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[notify]\na = 3", "notify.a", "expected a table"),
        ('[notify.a]\nurl = "https://x.invalid"', "notify.a.kind", "expected one of 'webhook'"),
        ('[notify.a]\nkind = "pager"', "notify.a.kind", "'email', not 'pager'"),
        ('[notify.a]\nkind = "webhook"', "notify.a", "one of `url` and `url-env`"),
        ('[notify.webhook]\nkind = "webhook"\nurl = "ftp://x"', "notify.webhook.url", "https://"),
        ('[notify."a b"]\nkind = "slack"\nurl-env = "U"', 'notify."a b"', "a name of at most 64"),
        ('[notify.a]\nkind = "slack"\nurl-env = "U"\ncolour = 1', "notify.a.colour", "unknown key"),
        ('[notify.a]\nkind = "slack"\nurl-env = "U"\non = []', "notify.a.on", "at least one"),
        ('[notify.a]\nkind = "slack"\nurl-env = "U"\non = ["bad"]', "notify.a.on[0]", "'worse'"),
        (f'[notify.a]\n{MAIL}to = []', "notify.a.to", "expected at least one"),
        (f'[notify.a]\n{MAIL}to = ["x"]', "notify.a.to[0]", "such as 'farm@example.org'"),
        (f'[notify.a]\n{MAIL}to = ["x@y\\nBcc: z@y"]', "notify.a.to[0]", "a mail address"),
        (f'[notify.a]\n{MAIL}to = ["x@y"]\nuser = "u"', "notify.a", "`user` and `password-env`"),
        (
            f'[notify.a]\n{MAIL}to = ["x@y"]\nuser = "u"\npassword-env = "P"\nsecurity = "none"',
            "notify.a",
            "in the clear",
        ),
        (f'[notify.a]\n{ISSUE}', "notify.a.token-env", "expected this key"),
        (f'[notify.a]\n{ISSUE}token-env = "T"\nlabels = ["a,b"]', "notify.a.labels[0]", "a comma"),
        (
            f'[notify.a]\n{ISSUE}token-env = "T"\napi = "http://git.invalid"',
            "notify.a.api",
            "expected https",
        ),
        (
            '[notify.a]\nkind = "github-issue"\nrepository = "wheels"\ntoken-env = "T"',
            "notify.a.repository",
            "'octo-org/wheels'",
        ),
    ],
)  # fmt: skip
def test_a_mistake_has_its_path_and_what_was_expected(text: str, path: str, expected: str):
    found = mistakes(f"[packages.x]\n{text}")
    assert list(found) == [path]
    assert expected in found[path]


@pytest.mark.parametrize(
    "text",
    [
        'kind = "webhook"\nurl = "https://me:hush-hush@x.invalid/"',
        'kind = "webhook"\nurl = "hush-hush"',
        'kind = "webhook"\nurl-env = "https://x.invalid/hush-hush"',
        'kind = "webhook"\nurl-env = "U"\ntoken-env = "ghp_hush_hush"',
        'kind = "webhook"\nurl-env = "U"\ntoken = "hush-hush"',
    ],
)
def test_what_may_be_a_secret_is_not_quoted(text: str):
    (said,) = mistakes(f"[packages.x]\n[notify.a]\n{text}").values()
    assert "hush" not in said


def test_a_variable_that_is_not_set_or_empty_is_named_with_its_path():
    environment = {"HOOK_TOKEN": "t", "ISSUE_TOKEN": ""}
    found = dict(find_missing_variables(parse(WHOLE).notify, environment))
    assert list(found) == [
        "notify.chat.url-env",
        "notify.tracker.token-env",
        "notify.mail.password-env",
    ]
    assert "CHAT_URL" in found["notify.chat.url-env"]


def test_no_result_goes_by_the_targets():
    with_targets = parse(WHOLE)
    without = parse("[packages.x]")
    assert matrix_digest(with_targets) == matrix_digest(without)
    assert matrix_digest(parse("[packages.y]")) != matrix_digest(without)
    assert matrix.Matrix.model_fields.keys() >= NO_INPUTS.keys()


def test_a_matrix_with_targets_is_read_from_a_file(tmp_path: Path):
    (tmp_path / "matrix.toml").write_text(WHOLE)
    assert list(matrix.load(tmp_path / "matrix.toml").notify) == ["hook", "chat", "tracker", "mail"]
