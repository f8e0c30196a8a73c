from builder.config import catalog


def test_bases_are_data():
    bases = catalog.load().bases
    assert [name for name, base in bases.items() if base.enabled] == [
        "debian-12",
        "debian-13",
        "ubuntu-24.04",
    ]
    assert not bases["ubuntu-26.04"].enabled


def test_the_interpreters_come_from_the_base_with_the_oldest_glibc():
    assert catalog.load().oldest(("ubuntu-24.04", "debian-13", "debian-12")).name == "debian-12"


def test_abis_know_what_they_are():
    abis = catalog.load().abis
    assert (abis["cp314"].free_threaded, abis["cp314t"].free_threaded) == (False, True)
    assert (abis["cp314"].suffix, abis["cp314t"].suffix) == ("cpython-314", "cpython-314t")
    assert all(abi.release in catalog.load().releases for abi in abis.values())
