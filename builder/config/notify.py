"""`[notify.NAME]`: who is told when a night made something worse. Secrets are in variables that the tables name."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from builder.config.table import Table
from builder.config.values import ApplicationName
from builder.untrusted.package_names import table_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Trigger = Literal["worse", "undetermined", "application"]
"""What a target is told of: a package's verdict that got worse, a package that became `undetermined`, an application
of which either is true."""

TRIGGERS: tuple[Trigger, ...] = ("worse", "undetermined", "application")

Security = Literal["starttls", "tls", "none"]

_PORTS: Mapping[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
"""Ports of submission (RFC 6409), of submission over TLS (RFC 8314), and of SMTP (RFC 5321)."""

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""Capitals alone: tokens have small letters, so that none passes for the name of the variable that holds it."""

_MAX_ADDRESS = 254  # characters of a mail address (RFC 5321, 4.5.3.1.3, without its angle brackets)


def check_url(value: str) -> str:
    """Return an address unchanged that may stand in a file and in messages: HTTP, with a host, without credentials.

    Raises:
        ValueError: it is another one. The text does not quote it, for it may be a secret.
    """
    try:
        parts = urlsplit(value)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False

    is_plain = value.isascii() and value.isprintable() and not set(value) & set(' "<>|\\^`{}')
    if not is_web or not is_plain:
        raise ValueError("expected an address such as 'https://alerts.example/hook'")
    if "@" in parts.netloc:
        raise ValueError(
            "the address has a user name or password in it; "
            "put it into a variable of the environment, and name that with the key `url-env`"
        )
    return value


def _check_api(value: str) -> str:
    """Return the address of an API unchanged; a token is sent there, and not in the clear."""
    check_url(value)
    parts = urlsplit(value)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise ValueError("expected https: the token would be sent in the clear")
    return value.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_mail_address(value: str) -> str:
    """Return a mail address unchanged: `user@domain` and nothing around it, so that no header is made of it."""
    user, at, domain = value.rpartition("@")
    is_plain = value.isascii() and value.isprintable() and not set(value) & set(' <>()[],;:"\\')
    if not (user and at and domain) or not is_plain or len(value) > _MAX_ADDRESS or "@" in user:
        raise ValueError(f"expected a mail address such as 'farm@example.org', not {value!r}")
    return value


def _check_variable(value: str) -> str:
    """Return the name of a variable unchanged. The error does not quote it: it may be the secret itself."""
    if _VARIABLE.fullmatch(value) is None:
        raise ValueError(
            "expected the name of a variable in capitals, such as 'ALERT_TOKEN', and not its content"
        )
    return value


WebAddress = Annotated[str, AfterValidator(check_url)]
ApiAddress = Annotated[str, AfterValidator(_check_api)]
MailAddress = Annotated[str, AfterValidator(_check_mail_address)]
SecretVariable = Annotated[str, AfterValidator(_check_variable)]
HostName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9.:_-]{1,253}$", description="a host's name, such as 'mail.example.org'"
    ),
]
RepositoryName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$",
        description="a repository, such as 'octo-org/wheels'",
    ),
]
Label = Annotated[
    str,
    Field(
        pattern=r"^[^\s,][^\n\r,]{0,49}$",
        description="a label of at most 50 characters, without a comma",
    ),
]


class _Target(Table):
    """What all kinds of targets have."""

    on: tuple[Trigger, ...] = TRIGGERS
    """What it is told of: "worse", "undetermined", "application"."""
    report_url: WebAddress | None = Field(default=None, alias="report-url")
    """Where its readers find the report; `--report-url` of the command counts more."""

    @field_validator("on", "labels", "to", check_fields=False)
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one")
        return tuple(dict.fromkeys(value))

    def variables(self) -> dict[str, str]:
        """Return the variables of the environment that it needs, by the key that names each."""
        named: dict[str, str] = {}
        for field, info in type(self).model_fields.items():
            variable = getattr(self, field)
            if info.alias is not None and info.alias.endswith("-env") and variable is not None:
                named[info.alias] = variable

        return named


class _Hook(_Target):
    """What targets have that are an address to send JSON to."""

    url: WebAddress | None = None
    """The address, where it is no secret."""
    url_env: SecretVariable | None = Field(default=None, alias="url-env")
    """The variable that holds the address, where it is a secret."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("expected one of `url` and `url-env`")
        return self


class Webhook(_Hook):
    """`kind = "webhook"`: the document of docs/alert.schema.json."""

    kind: Literal["webhook"]
    """The kind of target."""
    token_env: SecretVariable | None = Field(default=None, alias="token-env")
    """The variable that holds a token, sent as `Authorization: Bearer`."""


class Slack(_Hook):
    """`kind = "slack"`: the form of Slack's incoming webhooks, which other servers take as well."""

    kind: Literal["slack"]
    """The kind of target."""


class GithubIssue(_Target):
    """`kind = "github-issue"`: one open issue that is kept current."""

    kind: Literal["github-issue"]
    """The kind of target."""
    repository: RepositoryName
    """Where the issue is: OWNER/NAME."""
    token_env: SecretVariable = Field(alias="token-env")
    """The variable that holds a token that may write issues."""
    api: ApiAddress = "https://api.github.com"
    """Address of the API; that of a GitHub Enterprise Server ends with `/api/v3`."""
    labels: tuple[Label, ...] = ("wheelfarm",)
    """Labels of the issue, by which it is found."""


class Email(_Target):
    """`kind = "email"`: a mail in plain text."""

    kind: Literal["email"]
    """The kind of target."""
    host: HostName
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """Its port. Default: 587 with "starttls", 465 with "tls", 25 with "none"."""
    security: Security = "starttls"
    """How the connection is encrypted: "starttls", "tls" or "none"."""
    sender: MailAddress = Field(alias="from")
    """Who the mail is from."""
    to: tuple[MailAddress, ...]
    """Who gets it."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """Who the mail server is told it is."""
    password_env: SecretVariable | None = Field(default=None, alias="password-env")
    """The variable that holds the password of `user`."""

    @model_validator(mode="after")
    def _sends_no_password_in_the_clear(self) -> Self:
        if (self.user is None) != (self.password_env is None):
            raise ValueError("expected `user` and `password-env` together, or neither")
        if self.user is not None and self.security == "none":
            raise ValueError(
                'the password would be sent in the clear; expected `security` "starttls" or "tls"'
            )
        return self

    @property
    def server_port(self) -> int:
        """The port to connect to."""
        return self.port or _PORTS[self.security]


Target = Webhook | Slack | GithubIssue | Email
"""One `[notify.NAME]`, told apart by its `kind`."""

TARGETS: Mapping[str, type[Table]] = {
    "webhook": Webhook,
    "slack": Slack,
    "github-issue": GithubIssue,
    "email": Email,
}
"""By kind, the model of a table."""

Targets = dict[ApplicationName, Annotated[Target, Field(discriminator="kind")]]
"""All of a matrix, by a name of their own, in the file's order."""


def find_missing_variables(
    targets: Mapping[str, Target], environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield a mistake, as (dotted path, what is wrong), for each variable that a target names and that is not set.

    One that is empty counts as not set: CI systems set a variable so whose secret they do not have.

    Args:
        targets: by name.
        environment: the variables of this process.
    """
    for name, target in targets.items():
        for key, variable in target.variables().items():
            if not environment.get(variable):
                yield (
                    f"notify.{table_key(name)}.{key}",
                    f"the variable {variable} of the environment is not set; set it to the secret, or remove the table",
                )
