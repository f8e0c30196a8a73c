import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from builder import index
from builder.index import serve
from builder.store.store import Store
from tests.unit.wheels import write_wheel

GIL = "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"


@pytest.fixture
def client(tmp_path: Path):
    store = Store(tmp_path / "wheelhouse")
    incoming = tmp_path / "incoming"
    write_wheel(incoming, GIL)
    index.publish(
        index.make_manifest([index.Entry(filename=GIL, sha256=store.add_file(incoming))]), store
    )
    (tmp_path / "secret").write_text("secret")
    (store.wheelhouse / "report").mkdir()
    (store.wheelhouse / "report/index.html").write_text("report")
    (store.wheelhouse / "report/out").symlink_to(tmp_path / "secret")
    (store.wheelhouse / "constraints").mkdir()
    (store.wheelhouse / "constraints/cp314.txt").write_text("foo-bar==1.0\n")
    store.close()
    with TestClient(serve.make_application(store.wheelhouse)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        (serve.JSON_V1, serve.JSON_V1),
        ("application/vnd.pypi.simple.latest+json", serve.JSON_V1),
        (f"{serve.JSON_V1}, {serve.HTML_V1}; q=0.1, text/html; q=0.01", serve.JSON_V1),
        (f"{serve.JSON_V1};q=0.1, {serve.HTML_V1}", f"{serve.HTML_V1}; charset=utf-8"),
    ],
)
@pytest.mark.parametrize("path", ["/simple/", "/simple/foo-bar/"])
def test_a_page_is_given_in_the_form_that_is_asked_for(
    client: TestClient, path: str, accept: str, kind: str
):
    answer = client.get(path, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Vary"] == "Accept"
    if kind == serve.JSON_V1:
        assert json.loads(answer.text)["meta"]["api-version"]


@pytest.mark.parametrize("path", ["/simple/", "/report/index.html", "/nowhere", "/", "/report/out"])
def test_a_browser_is_told_to_run_nothing(client: TestClient, path: str):
    answer = client.get(path, follow_redirects=False)

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; frame-ancestors 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_constraints_are_text(client: TestClient):
    answer = client.get("/constraints/cp314.txt")
    assert (answer.text, answer.headers["Content-Type"].partition(";")[0]) == (
        "foo-bar==1.0\n",
        "text/plain",
    )


def test_what_cannot_be_given_is_not_acceptable(client: TestClient):
    assert client.get("/simple/", headers={"Accept": "image/png"}).status_code == 406


def test_ranges_and_etags(client: TestClient):
    path = f"/simple/foo-bar/{GIL}"
    whole = client.get(path)
    assert whole.headers["Content-Type"] == "application/zip"
    part = client.get(path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, whole.content[2:5])
    assert client.get(path, headers={"Range": "bytes=9999-"}).status_code == 416
    assert client.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/store/ledger.sqlite", "/simple/.published", "/simple/..%2f..%2fsecret", "/report/%2e%2e/store/lock",
        "/report/out", "/report/%00", "/simple/nothing/", "/quarantine/simple/none/", "/logs/none",
    ],
)  # fmt: skip
def test_nothing_else_is_served(client: TestClient, path: str):
    answer = client.get(path, headers={"Accept": "*/*"})
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_it_is_read_only(client: TestClient):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/simple/").status_code == 405


def test_the_root_leads_to_the_report(client: TestClient):
    assert client.get("/").text == "report"


@given(st.text())
def test_any_header_is_understood_or_refused(accept: str):
    assert serve.negotiate_content_type(accept) in {None, "text/html", serve.HTML_V1, serve.JSON_V1}


@pytest.mark.parametrize("inner", ["store/ledger.sqlite", "logs/build.log", "../secret", "store"])
def test_no_link_is_followed(client: TestClient, tmp_path: Path, inner: str):
    wheelhouse = tmp_path / "wheelhouse"
    (wheelhouse / "logs").mkdir()
    (wheelhouse / "logs/build.log").write_text("log")
    (wheelhouse / "simple/foo-bar/link.whl").symlink_to(wheelhouse / inner)
    (wheelhouse / "simple/link").symlink_to((wheelhouse / inner).parent)
    assert client.get("/logs/build.log").status_code == 200
    assert client.get("/simple/foo-bar/link.whl").status_code == 404
    assert client.get(f"/simple/link/{Path(inner).name}").status_code == 404
