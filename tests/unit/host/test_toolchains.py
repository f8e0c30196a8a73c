"""Which server Rust toolchains come from."""

import pytest

from builder.host.toolchains import (
    RUSTUP_VARIABLE,
    SERVER_VARIABLE,
    ToolchainServer,
    find_toolchain_server,
)

URL = "https://rust.invalid/mirror/"


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SERVER_VARIABLE, RUSTUP_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_without_a_setting_there_is_no_server():
    assert find_toolchain_server() is None


@pytest.mark.parametrize("text", [URL, URL.rstrip("/"), f" {URL} "])
def test_the_farms_variable_counts_more_than_rustups(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv(RUSTUP_VARIABLE, text)
    assert find_toolchain_server() == ToolchainServer(url=URL)
    monkeypatch.setenv(SERVER_VARIABLE, "http://other.invalid")
    assert find_toolchain_server() == ToolchainServer(url="http://other.invalid/")


@pytest.mark.parametrize(
    "text", ["", "rust.invalid", "file:///mirror", "https://", "https://[::1", "ftp://rust.invalid"]
)
def test_what_is_no_address_is_no_server(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv(SERVER_VARIABLE, text)
    assert find_toolchain_server() is None


def test_credentials_are_no_part_of_the_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SERVER_VARIABLE, "https://me:s%40cret@rust.invalid")
    server = find_toolchain_server()
    assert server == ToolchainServer(
        url="https://rust.invalid/", authorization="Basic bWU6c0BjcmV0"
    )
