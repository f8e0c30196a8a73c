from collections.abc import Iterator

import pytest

from builder.host import settings as host


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask the servers of the tests themselves, and read the bundle of certificates anew in each test."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    host.ca_bundle.cache_clear()
    yield
    host.ca_bundle.cache_clear()
