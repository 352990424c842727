"""What every test shares: the real hosts, the real daemon, and Hypothesis without a stopwatch."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.patience import patience

# Before anything imports torch: tiny networks gain nothing by more threads, and where something else has one
# of the cores each of their steps waits for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.hosts.fixtures", "tests.daemon_fixture", "tests.sharp"]

# Two cores shared with Krita and GIMP make single examples slow now and then; that is no failure.
settings.register_profile("velatura", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("velatura")

# Before Python 3.12 coverage makes a test a third slower (measured: 34 to 43 % of processor time with 3.11);
# sys.monitoring makes it next to free (0 to 8 % with 3.12). So before it only the quick tests are covered.
COVERAGE_IS_CHEAP = sys.version_info >= (3, 12)
HEAVY = {"daemon", "running", "state_dir", "tiny_folder"}  # fixtures
HEAVY_MARKS = ("krita", "gimp", "slow")


def is_heavy(item: pytest.Item) -> bool:
    """Whether a test needs a host, a daemon or a model, or says that it is slow."""
    return bool(HEAVY & set(getattr(item, "fixturenames", ()))) or any(
        map(item.get_closest_marker, HEAVY_MARKS)
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test's limit, its own or the one in pyproject.toml, as it holds on this machine."""
    usual = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = patience(float(own.args[0]) if own else usual)
        item.add_marker(pytest.mark.timeout(seconds), append=False)
        if not COVERAGE_IS_CHEAP and is_heavy(item):
            item.add_marker(pytest.mark.no_cover)
