"""Webhooks against real servers: what arrives, what is tried again, what is said of a failure, what never leaks."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

from builder.host import settings as host
from builder.report.notify.deliver import Outcome
from tests.unit.certificates import make_certificate, server_context
from tests.unit.report.notify.nights import NASTY, Pauses, night, regression, target, tell
from tests.unit.report.notify.web_server import Answer, End, Reply, Silence, WebServer, serve_list

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/alert.schema.json").read_text())
TOKEN = "tok-1234567890-secret"


def secret_hook(server: WebServer) -> dict[str, str]:
    return {"HOOK_URL": f"{server.url}/services/{TOKEN}?key=another-secret"}


HOOK = 'kind = "webhook"\nurl-env = "HOOK_URL"'


def test_the_document_arrives_as_its_schema_says():
    with serve_list(Reply()) as server:
        one = target(f'kind = "webhook"\nurl = "{server.url}/hook"\ntoken-env = "HOOK_TOKEN"')
        delivery = tell(one, night(regression(reason=NASTY)), HOOK_TOKEN=TOKEN)
    assert delivery.outcome is Outcome.SENT
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["Content-Type"].startswith("application/json")
    sent = json.loads(asked.content)
    jsonschema.validate(sent, SCHEMA)
    assert sent["summary"] == "foo 1.0 on cp314t: racy, was compatible"
    assert sent["report_url"] == "https://farm.invalid/report/"
    assert "\\x1b[2J" in sent["regressions"][0]["reason"]


def test_the_same_alert_has_the_same_id_so_that_a_receiver_can_tell():
    first, again, other = (
        night(regression()),
        night(regression()),
        night(regression(name="bar")),
    )
    assert first.alert.id == again.alert.id != other.alert.id


def test_a_token_counts_more_than_an_entry_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password from-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve_list(Reply()) as server:
        one = target(f'kind = "webhook"\nurl = "{server.url}/"\ntoken-env = "HOOK_TOKEN"')
        tell(one, night(regression()), HOOK_TOKEN=TOKEN)
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ((Reply(500), Reply()), [1.0]),
        ((Reply(429, headers={"Retry-After": "7"}), Reply()), [7.0]),
        ((Reply(503, headers={"Retry-After": "86400"}), Reply()), [30.0]),
        ((Reply(503, headers={"Retry-After": "soon"}), Reply()), [1.0]),
        ((End, End, Reply()), [1.0, 5.0]),
        ((Silence, Reply()), [1.0]),
    ],
    ids=["500", "retry-after", "retry-after-is-bounded", "bad-retry-after", "closed", "silent"],
)
def test_what_fails_for_a_moment_is_tried_again(answers: tuple[Answer, ...], pauses: list[float]):
    waited = Pauses()
    with serve_list(*answers) as server:
        delivery = tell(target(HOOK), night(regression()), waited, **secret_hook(server))
    assert (delivery.outcome, waited.seconds) == (Outcome.SENT, pauses)
    assert len(server.asked) == len(answers)


@pytest.mark.parametrize(
    ("answer", "tries", "expected"),
    [
        (Reply(400, b"\n bad form \nmore"), 1, "status 400 ('bad form')"),
        (Reply(401, TOKEN.encode()), 1, "status 401 ('***')"),
        (Reply(403, b"\x1b[2Jno"), 1, "'\\\\x1b[2Jno'"),
        (Reply(404, b""), 1, "status 404; check the address"),
        (Reply(429), 3, "status 429"),
        (Reply(500, b"oops " * 200), 3, "(after 3 tries)"),
        (Silence, 3, "no answer (timeout)"),
        (End, 3, "no answer (the server closed the connection)"),
        (Reply(200, b"x" * (1 << 22)), 1, ""),
    ],
    ids=["400", "401", "403", "404", "429", "500", "silent", "closed", "long-answer"],
)
def test_a_failure_says_what_was_observed_and_no_secret(
    answer: Answer,
    tries: int,
    expected: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    caplog.set_level(logging.INFO)
    with serve_list(answer) as server:
        delivery = tell(target(HOOK), night(regression()), None, **secret_hook(server))
    assert len(server.asked) == tries
    assert (delivery.outcome is Outcome.FAILED) == bool(expected)
    assert expected in delivery.detail
    printed = capfd.readouterr()
    for text in (delivery.detail, caplog.text, printed.out, printed.err):
        assert TOKEN not in text
        assert "another-secret" not in text


def test_an_answer_that_echoes_the_whole_request_shows_no_secret():
    def echo(server: WebServer) -> bytes:
        return f"cannot take {server.url}/services/{TOKEN}?key=another-secret".encode()

    with serve_list(Reply(400)) as server:
        server.answer = lambda _: Reply(400, echo(server))
        delivery = tell(target(HOOK), night(regression()), None, **secret_hook(server))
    assert "cannot take ***" in delivery.detail
    assert "secret" not in delivery.detail


def test_a_redirect_is_not_followed_and_named_by_its_host():
    with serve_list(Reply()) as elsewhere:
        location = f"http://localhost:{elsewhere.port}/{TOKEN}"
        with serve_list(Reply(307, headers={"Location": location})) as server:
            delivery = tell(target(HOOK), night(regression()), None, **secret_hook(server))
    assert elsewhere.asked == []
    assert len(server.asked) == 1
    assert "a redirect to http://localhost, which is not followed" in delivery.detail
    assert TOKEN not in delivery.detail


def test_nobody_listens():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{TOKEN}"
    pauses = Pauses()
    delivery = tell(target(HOOK), night(regression()), pauses, HOOK_URL=url)
    assert "no answer (Connection refused); check the address" in delivery.detail
    assert pauses.seconds == [1.0, 5.0]
    assert TOKEN not in delivery.detail


@pytest.mark.parametrize(
    ("url", "token"),
    [("nonsense", "t"), ("ftp://x.invalid/", "t"), ("http://127.0.0.1:1/", "a\nb"), ("", "t")],
)
def test_an_address_or_a_token_that_cannot_be_sent_is_a_failure_like_others(url: str, token: str):
    one = target(f'{HOOK}\ntoken-env = "HOOK_TOKEN"')
    delivery = tell(one, night(regression()), HOOK_URL=url, HOOK_TOKEN=token)
    assert delivery.outcome is Outcome.FAILED
    assert "check the variables" in delivery.detail or "HOOK_URL is not set" in delivery.detail


def test_tls_with_a_certificate_of_an_authority_that_is_known_and_of_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificate = make_certificate(tmp_path)
    with serve_list(Reply(), context=server_context(certificate)) as server:
        refused = tell(target(HOOK), night(regression()), None, **secret_hook(server))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(variable, raising=False)
        host.ca_bundle.cache_clear()
        taken = tell(target(HOOK), night(regression()), None, **secret_hook(server))
    host.ca_bundle.cache_clear()
    assert "TLS failed" in refused.detail
    assert "SSL_CERT_FILE" in refused.detail
    assert TOKEN not in refused.detail
    assert taken.outcome is Outcome.SENT
    assert len(server.asked) == 1
