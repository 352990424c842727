"""Pytest fixtures: the real hosts, or a skip that says why.

With VELATURA_REQUIRE_HOSTS=1 a host that is not there is a failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from installer.hosts import Host, advice, find_hosts

from tests.hosts.display import Display
from tests.hosts.krita import KritaSession
from tests.krita.plugin import put_plugin


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


@contextlib.contextmanager
def krita_sessions(host: Host, state_dir: Path, folder: Path) -> Generator[Callable[..., KritaSession]]:
    """Give a function that opens a session of Krita with the plugin; `serve` is its start button's command.

    window_manager: so that keys go to the window that has the focus.
    """
    with contextlib.ExitStack() as opened:

        def start(serve: Sequence[str] = (), window_manager: bool = False) -> KritaSession:
            plugin = put_plugin(folder / "plugin", serve, state_dir)
            display = opened.enter_context(Display(host, window_manager=window_manager))
            session = KritaSession(host, folder / "krita", plugins=[plugin], display=display)
            return opened.enter_context(session)

        yield start


@pytest.fixture
def krita_session(
    krita_host: Host, state_dir: Path, tmp_path: Path
) -> Generator[Callable[..., KritaSession]]:
    """See `krita_sessions`."""
    with krita_sessions(krita_host, state_dir, tmp_path) as start:
        yield start
