"""Pytest fixtures: the real hosts, or a skip that says why.

With VELATURA_REQUIRE_HOSTS=1 a host that is not there is a failure.
"""

from __future__ import annotations

import os

import pytest
from installer.hosts import Host, advice, find_hosts


def _need(host: Host | None, name: str) -> Host:
    if host is None:
        reason = f"{name} is not here; {advice()}"
    elif not host.has("Xvfb"):
        reason = f"Xvfb, the virtual display {name} is tested on, is not here"
    else:
        return host
    if os.environ.get("VELATURA_REQUIRE_HOSTS") == "1":
        pytest.fail(f"{reason} (VELATURA_REQUIRE_HOSTS forbids to skip)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def krita_host() -> Host:
    """Return the real Krita, for `tests.hosts.krita.KritaSession`."""
    return _need(find_hosts().krita, "Krita 5.2 or newer")


@pytest.fixture(scope="session")
def gimp_host() -> Host:
    """Return the real GIMP, for `tests.hosts.gimp.GimpSession`."""
    return _need(find_hosts().gimp, "GIMP 3")
