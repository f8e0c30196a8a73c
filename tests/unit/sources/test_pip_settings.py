"""Indexes as pip is configured for them: passwords, certificates, proxies, and refusals in place of "not found"."""

import base64
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.host import settings as host
from builder.host.settings import IndexSettings
from builder.sources.client import Index
from builder.sources.errors import NoIndexAnswerError
from builder.store.store import Store
from tests.unit.certificates import make_certificate, server_context

PAGE = b'<html><body><a href="thing-1.0.tar.gz#sha256=%s">thing-1.0.tar.gz</a></body></html>' % (
    b"a" * 64
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what its server is told to; for every request, its address and password are kept."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))  # type: ignore[attr-defined]
        status = self.server.decide(self)  # type: ignore[attr-defined]
        body = PAGE if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(
    decide: Callable[[http.server.BaseHTTPRequestHandler], int],
    context: ssl.SSLContext | None = None,
) -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []  # type: ignore[attr-defined]
    server.decide = decide  # type: ignore[attr-defined]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def needs_password(request: http.server.BaseHTTPRequestHandler) -> int:
    expected = "Basic " + base64.b64encode(b"me:s3 cret/@").decode()
    return 200 if request.headers.get("Authorization") == expected else 401


def always(status: int) -> Callable[[http.server.BaseHTTPRequestHandler], int]:
    return lambda _: status


@pytest.fixture
def pip_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only configuration of pip on this machine."""
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_TRUSTED_HOST",
        "PIP_CERT",
        "PIP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    host.index_settings.cache_clear()
    host.ca_bundle.cache_clear()
    yield file
    host.index_settings.cache_clear()
    host.ca_bundle.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


def find_versions(store: Store, settings: IndexSettings | None = None) -> list[str]:
    releases = Index(settings or host.index_settings(), store).releases("thing")
    return [str(release.version) for release in releases or ()]


def test_a_password_in_netrc_reaches_the_index_and_what_containers_ask_with(
    pip_conf: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text('machine 127.0.0.1 login me password "s3 cret/@"\n')
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(needs_password) as server:
        pip_conf.write_text(f"[global]\nindex-url = http://127.0.0.1:{server.server_port}/simple\n")
        assert find_versions(store) == ["1.0"]

    settings = host.index_settings()
    assert "me:s3%20cret%2F%40@127.0.0.1" in settings.url
    assert "s3" not in f"{settings.environment()}{settings.public_urls}"


def test_a_password_in_the_keyring_is_asked_for_with_the_user(
    pip_conf: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "keyring"
    program.write_text('#!/bin/sh\n[ "$1 $3" = "get me" ] && echo "s3 cret/@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with serving(needs_password) as server:
        url = f"http://me@127.0.0.1:{server.server_port}/simple"
        pip_conf.write_text(f"[global]\nindex-url = {url}\n")
        assert find_versions(store) == ["1.0"]

        host.index_settings.cache_clear()
        pip_conf.write_text(f"[global]\nindex-url = {url}\nkeyring-provider = disabled\n")
        with pytest.raises(NoIndexAnswerError, match="status 401"):
            find_versions(store)


def test_a_refusal_names_the_index_and_what_to_do(store: Store):
    with serving(always(401)) as first, serving(always(403)) as second:
        closed = IndexSettings(url=f"http://me:s3cret@127.0.0.1:{first.server_port}/simple/")
        with pytest.raises(NoIndexAnswerError) as caught:
            find_versions(store, closed)
        assert f"the index 'http://127.0.0.1:{first.server_port}/simple/'" in str(caught.value)
        assert "status 401: it wants a user and a password" in str(caught.value)
        assert "s3cret" not in str(caught.value)

        forbidden = IndexSettings(url=f"http://127.0.0.1:{second.server_port}/simple/")
        with pytest.raises(NoIndexAnswerError, match="WHEELFARM_UNKNOWN_STATUSES=403"):
            find_versions(store, forbidden)


def test_a_setting_lets_the_next_index_answer_where_the_first_refuses(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    with serving(always(403)) as first, serving(always(200)) as second:
        settings = IndexSettings(
            url=f"http://127.0.0.1:{first.server_port}/simple/",
            extra_urls=(f"http://127.0.0.1:{second.server_port}/simple/",),
        )
        with pytest.raises(NoIndexAnswerError, match="status 403"):
            find_versions(store, settings)
        assert not second.asked  # type: ignore[attr-defined]

        monkeypatch.setenv("WHEELFARM_UNKNOWN_STATUSES", "403")
        assert find_versions(store, settings) == ["1.0"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_counts_unless_its_host_is_trusted(
    pip_conf: Path, store: Store, certificate: Path
):
    with serving(always(200), server_context(certificate)) as server:
        index = f"[global]\nindex-url = https://127.0.0.1:{server.server_port}/simple\n"
        pip_conf.write_text(index)
        with pytest.raises(NoIndexAnswerError, match="SSLError"):
            find_versions(store)

        host.index_settings.cache_clear()
        pip_conf.write_text(f"{index}trusted-host = 127.0.0.1:{server.server_port}\n")
        assert find_versions(store) == ["1.0"]


def test_pips_certificates_are_taken(
    pip_conf: Path, store: Store, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"):
        monkeypatch.delenv(name, raising=False)
    with serving(always(200), server_context(certificate, clients=certificate)) as server:
        index = f"[global]\nindex-url = https://127.0.0.1:{server.server_port}/simple\ncert = {certificate}\n"
        pip_conf.write_text(index)
        assert host.ca_bundle() == certificate
        with pytest.raises(NoIndexAnswerError):
            find_versions(store)

        host.index_settings.cache_clear()
        pip_conf.write_text(f"{index}client-cert = {certificate}\n")
        assert find_versions(store) == ["1.0"]


def test_pips_proxy_is_asked(pip_conf: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(always(200)) as server:
        pip_conf.write_text(
            f"[global]\nindex-url = http://index.invalid/simple\nproxy = 127.0.0.1:{server.server_port}\n"
        )
        assert find_versions(store) == ["1.0"]
        assert server.asked[0][0] == "http://index.invalid/simple/thing/"  # type: ignore[attr-defined]

    proxy = f"http://127.0.0.1:{server.server_port}"
    assert {host.proxy_variables()[name] for name in ("http_proxy", "HTTPS_PROXY")} == {proxy}
