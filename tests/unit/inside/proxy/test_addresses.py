from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from builder.inside.proxy.addresses import AddressRule, RefusedError, read_own_networks

PUBLIC, PRIVATE, OWN = "8.8.8.8", "10.1.2.3", "172.16.0.18"


def make_rule(index_address: str, url: str = "https://index.invalid/simple/") -> AddressRule:
    return AddressRule(
        [url],
        trusted_hosts=["files.invalid:81"],
        own_networks=[ipaddress.IPv4Network("172.16.0.16/28")],
        resolve=lambda host, port: [index_address],
    )


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "::ffff:127.0.0.1", OWN, "no"],
)
@pytest.mark.parametrize("index_address", [PUBLIC, PRIVATE, "127.0.0.1"])
def test_no_link_leads_to_this_machine_or_its_neighbours(address: str, index_address: str):
    rule = make_rule(index_address)
    with pytest.raises(RefusedError):
        rule.check_address("files.invalid", 443, address)
    rule.check_address("index.invalid", 443, address)
    rule.check_address("files.invalid", 81, address)
    with pytest.raises(RefusedError):
        rule.check_address("index.invalid", 22, address)


def test_private_networks_are_for_indexes_in_them():
    make_rule(PRIVATE).check_address("files.invalid", 443, "192.168.0.7")
    make_rule("198.18.0.4").check_address("files.invalid", 443, "198.18.0.5")
    make_rule(PUBLIC).check_address("files.invalid", 443, PUBLIC)
    with pytest.raises(RefusedError):
        make_rule(PUBLIC).check_address("files.invalid", 443, PRIVATE)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a.invalid",
        "http://a.invalid",
        "https://127.0.0.1/",
        "https://[",
        "https:",
    ],
)
def test_urls_are_https_and_no_refused_address(url: str):
    with pytest.raises(RefusedError):
        make_rule(PUBLIC).check_url(url)


def test_no_redirect_leads_from_https_to_http():
    rule = make_rule(PUBLIC, "http://index.invalid/simple/")
    rule.check_url("http://a.invalid/")
    with pytest.raises(RefusedError):
        rule.check_url("http://a.invalid/", "https://b.invalid/")


def test_own_networks_and_gateways_are_read(tmp_path: Path):
    routes = tmp_path / "route"
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0\n"
        "eth0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n"
    )
    assert [str(one) for one in read_own_networks(routes)] == ["172.17.0.1/32", "172.17.0.0/16"]
