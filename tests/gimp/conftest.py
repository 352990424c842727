"""The real GIMP with the plug-in installed, and the real daemon with the tiny model behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from installer.hosts import Host

from tests.daemon_fixture import Daemon
from tests.hosts.display import Display
from tests.hosts.gimp import GimpSession
from tests.more_methods import environment
from velatura_protocol.client import Client

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugin_gimp/velatura_gimp"
INSIDE = Path(__file__).parent / "inside"


def install(
    session: GimpSession, state_dir: Path, *, offered_by: Daemon | None = None, **config: object
) -> Path:
    """Puts the plug-in into the session's profile as `velatura install gimp` does; returns its folder.

    offered_by: a daemon with methods of tests, which GIMP is to know from the start.
    """
    from velatura.install.hostfiles import first_methods

    session.install(PLUGIN)
    folder = session.profile / "plug-ins" / PLUGIN.name
    shutil.copytree(
        ROOT / "protocol/velatura_protocol",
        folder / "velatura_protocol",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "velatura.json").write_text(json.dumps({"state_dir": str(state_dir), **config}))
    methods = _offered(state_dir) if offered_by else first_methods(state_dir)
    (folder / "methods.json").write_bytes(methods)
    return folder


def _offered(state_dir: Path) -> bytes:
    client = Client(state_dir, name="test")
    try:
        client.connect()
        return json.dumps(client.methods()).encode()
    finally:
        client.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Daemon]:
    """A running daemon whose default model is the tiny one, for all tests of a file."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-daemon") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Daemon]:
    """A running daemon that has the methods of `tests.more_methods` too."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-finding") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), prestart=False) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def display(gimp_host: Host) -> Iterator[Display]:
    """One virtual display for all windows of a file."""
    with Display(gimp_host, window_manager=True) as display:
        yield display


@pytest.fixture(scope="module")
def gimp(gimp_host: Host, served: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GimpSession]:
    """GIMP with the plug-in, whose daemon is `served`."""
    with GimpSession(gimp_host, tmp_path_factory.mktemp("gimp"), binds=[served.state_dir]) as session:
        install(session, served.state_dir)
        yield session
