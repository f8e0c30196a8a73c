import leasebook
import pytest


def test_owner():
    lease = leasebook.Lease("ann")
    assert lease.touch() is lease
    assert lease.belongs_to("ann")
    assert not lease.belongs_to("bob")
    assert not lease.ended
    assert repr(lease) == "<Lease of 'ann'>"


def test_arguments():
    with pytest.raises(ValueError):
        leasebook.Lease("")
    with pytest.raises(ValueError):
        leasebook.Lease("ann", seconds=0)
