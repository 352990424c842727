"""One daemon for the tests of a module that do not harm it."""

from __future__ import annotations

import os
import sys

import pytest

from tests import more_methods
from tests.daemon.raw import Raw
from tests.daemon_fixture import Daemon


@pytest.fixture(scope="module")
def broker(request, tmp_path_factory, tiny_folder, no_torch):
    """A daemon that starts its worker when there is work; where NO_WORKER is set it never gets ready."""
    from tests.tiny import register_tiny_model

    state_dir = tmp_path_factory.mktemp("daemon") / "state"
    register_tiny_model(state_dir, tiny_folder)
    environment = no_torch if getattr(request.module, "NO_WORKER", False) else more_methods.environment()
    with Daemon(state_dir, environment, prestart=False) as running:
        yield running


@pytest.fixture(scope="session")
def no_torch(tmp_path_factory):
    """An environment in which importing torch takes for ever, for tests that need a daemon and no edits."""
    folder = tmp_path_factory.mktemp("no_torch")
    (folder / "torch.py").write_text("import time\ntime.sleep(3600)\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


@pytest.fixture
def raw(broker):
    with Raw(broker.connection) as client:
        yield client
