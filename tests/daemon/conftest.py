"""One daemon for the tests of a module that do not harm it."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Raw
from tests.daemon_fixture import Daemon


@pytest.fixture(scope="module")
def broker(tmp_path_factory, tiny_folder):
    """A daemon that starts its worker when there is work."""
    from tests.tiny import register_tiny_model

    state_dir = tmp_path_factory.mktemp("daemon") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, prestart=False) as running:
        yield running


@pytest.fixture
def raw(broker):
    with Raw(broker.connection) as client:
        yield client
