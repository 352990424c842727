"""What every test shares: the real hosts, the real daemon, and Hypothesis without a stopwatch."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.patience import patience
from tests.reach import needs_the_whole_gate

# Before anything imports torch: tiny networks gain nothing by more threads, and where something else has one
# of the cores each of their steps waits for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.hosts.fixtures", "tests.daemon_fixture"]

# Two cores shared with Krita and GIMP make single examples slow now and then; that is no failure.
settings.register_profile("velatura", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("velatura")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what the fast gate leaves out; set every test's limit, its own or the usual, for this machine."""
    usual = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = patience(float(own.args[0]) if own else usual)
        item.add_marker(pytest.mark.timeout(seconds), append=False)
        if needs_the_whole_gate(item):
            item.add_marker(pytest.mark.whole)
