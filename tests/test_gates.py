"""Which tests the fast gate leaves out: those with the mark `whole`, which they get by what they import."""

import importlib

import pytest

from tests.conftest import is_heavy


@pytest.mark.parametrize(
    "name", ["tests.daemon_fixture", "tests.hosts.gimp", "tests.test_rest", "tests.cli.conftest"]
)
def test_a_module_that_starts_programs_or_loads_models_is_heavy(name):
    assert is_heavy(importlib.import_module(name))


@pytest.mark.parametrize("name", ["tests.patience", "tests.conftest", "tests.krita.conftest", __name__])
def test_any_other_is_not(name):
    assert not is_heavy(importlib.import_module(name))


def test_a_test_that_needs_nothing_is_in_the_fast_gate(request):
    assert not request.node.get_closest_marker("whole")


@pytest.mark.slow
def test_a_slow_one_is_not(request):
    assert request.node.get_closest_marker("whole")


@pytest.fixture
def prepared(tiny_folder):
    return tiny_folder


def test_nor_one_with_a_fixture_whose_fixture_is_from_a_heavy_module(request, prepared):
    assert request.node.get_closest_marker("whole")
