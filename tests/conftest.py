"""What every test shares: the real hosts, the real daemon, and Hypothesis without a stopwatch."""

import os
import re
import sys
from types import ModuleType

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

# Modules that start a program or a daemon, or make or load a model.
HEAVY = re.compile(
    r"(subprocess|installer\.hosts|tests\.(daemon_fixture|hosts|tiny)|velatura\.models\.store)\b"
    r"|tests\.more_methods$"
)


# The heavy tests of the second process of the whole gate: those of daemons and commands, which mostly wait
# for other processes, and so many of the laboratory that it ends with the first one.
SECOND = ("tests.daemon.", "tests.cli.", "tests.lab.readers.", "tests.lab.test_")


def is_heavy(module: ModuleType) -> bool:
    """Whether a module is one of those, or has imported one or something of one at its top."""
    values = (module, *vars(module).values())
    names = [getattr(it, "__name__" if isinstance(it, ModuleType) else "__module__", "") for it in values]
    return any(HEAVY.match(str(name)) for name in names)


def is_hosted(item: pytest.Function) -> bool:
    """Whether a test needs a real host."""
    return any(map(item.get_closest_marker, ("krita", "gimp")))


def is_for_the_whole_gate(item: pytest.Function) -> bool:
    """Whether a test is marked for a host or as slow, or its module or that of a fixture of it is heavy."""
    if is_hosted(item) or item.get_closest_marker("slow"):
        return True
    known = item._fixtureinfo.name2fixturedefs
    fixtures = {known[name][-1].func.__module__ for name in item.fixturenames if name in known}
    return any(is_heavy(sys.modules[name]) for name in {item.module.__name__, *fixtures})


# Before Python 3.12 coverage makes a test a third slower (measured: 34 to 43 % of processor time with 3.11);
# sys.monitoring makes it next to free (0 to 8 % with 3.12). So before it only the quick tests are covered.
COVERAGE_IS_CHEAP = sys.version_info >= (3, 12)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what the fast gate leaves out; set every test's limit, its own or the usual, for this machine."""
    usual = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = patience(float(own.args[0]) if own else usual)
        item.add_marker(pytest.mark.timeout(seconds), append=False)
        if is_for_the_whole_gate(item):
            item.add_marker(pytest.mark.whole)
            if is_hosted(item):
                item.add_marker(pytest.mark.hosted)
            elif item.module.__name__.startswith(SECOND):
                item.add_marker(pytest.mark.second)
            if not COVERAGE_IS_CHEAP:
                item.add_marker(pytest.mark.no_cover)
