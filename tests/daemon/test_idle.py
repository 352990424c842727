"""Memory is given back after a while of idleness, or when it is asked for."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import ENDLESS
from tests.daemon.test_worker import ended, run, wait_until_it_runs
from tests.daemon_fixture import Daemon, wait_for
from tests.more_methods import environment

pytestmark = pytest.mark.timeout(120)


def loaded(raw):
    return [model["id"] for model in raw.ask({"type": "ping"})["models"] if model["loaded"]]


def test_memory_is_given_back(state_dir):
    with Daemon(state_dir, environment(), idle_unload=1.5) as daemon, Raw(daemon.connection) as raw:
        ended(raw, run(raw))
        assert loaded(raw) == ["tiny"]
        wait_for(lambda: not daemon.has_worker(), 30, "the worker stays", every=0.2)
        wait_for(lambda: raw.ask({"type": "ping"})["worker"] == "stopped", 10, "it is not told")
        assert loaded(raw) == []

        job = run(raw, **ENDLESS)  # asking while a job runs does not harm it
        wait_until_it_runs(raw, job)
        assert raw.ask({"type": "unload"})["type"] == "ok"
        assert raw.ask({"type": "get", "job": job})["state"] == "started"
        raw.ask({"type": "cancel", "job": job})
        ended(raw, job)
        wait_for(lambda: not daemon.has_worker(), 30, "the worker stays", every=0.2)
        assert raw.ask({"type": "shutdown"})["type"] == "ok"
        assert daemon.wait() == 0
