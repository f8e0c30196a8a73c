import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipspan import Network


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_as_ipaddress(address, bits):
    network = ipaddress.ip_network((address, bits), strict=False)
    assert repr(Network(str(network))) == f"Network('{network}')"
    assert Network(str(network)).size == network.num_addresses


def test_contains():
    assert "10.1.2.3" in Network("10.1.0.0/16")
    assert "10.0.0.0/8" not in Network("10.1.0.0/16")
    assert Network("10.1.2.3/16") == Network("10.1.0.0/16")


@pytest.mark.parametrize("text", ["10.1", "10.1.2.256", "1.2.3.4/33", "1.2.3.4/8x"])
def test_refused(text):
    with pytest.raises(ValueError):
        Network(text)
