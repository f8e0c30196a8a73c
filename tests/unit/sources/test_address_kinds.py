"""Where links of an index lead to, where neither index nor files have an address of the public Internet."""

from __future__ import annotations

import pytest

from builder.sources.addresses import AddressRule
from builder.sources.errors import RefusedAddressError


@pytest.mark.parametrize("address", ["203.0.113.80", "198.18.0.1", "10.1.2.3"])
def test_files_may_be_where_the_index_is(address: str):
    rule = AddressRule(["https://index.invalid/simple/"])
    with pytest.raises(RefusedAddressError):
        rule.check_address("files.invalid", 443, address)

    rule.check_address("index.invalid", 443, address)
    rule.check_address("files.invalid", 443, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1"])
def test_links_never_lead_to_this_machine_or_its_neighbours(address: str):
    rule = AddressRule(["https://index.invalid/simple/"])
    rule.check_address("index.invalid", 443, "203.0.113.80")
    with pytest.raises(RefusedAddressError):
        rule.check_address("files.invalid", 443, address)
