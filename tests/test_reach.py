"""Which tests the fast gate leaves out is read from what they and their fixtures reach for."""

import subprocess
import sys

import pytest

from tests import reach
from tests.daemon_fixture import Daemon, wait_for
from tests.tiny import SCHEDULER, tiny_model


def starts_a_daemon(folder):
    return Daemon(folder)


def by_another(folder):
    return [starts_a_daemon(path) for path in folder.iterdir()]


class Program:
    def __call__(self):
        return subprocess.run([sys.executable])


def imports_it(folder):
    from tests.tiny import register_tiny_model

    register_tiny_model(folder, folder)


def runs_a_program():
    return Program()()


def makes_a_model(folder):
    return [tiny_model(path) for path in folder]


def waits():
    wait_for(lambda: True, 1, "it does not come")
    return SCHEDULER["beta_start"], sys.path


@pytest.mark.parametrize("test", [starts_a_daemon, by_another, imports_it, runs_a_program, makes_a_model])
def test_what_reaches_for_a_daemon_a_program_or_a_model_is_for_the_whole_gate(test):
    assert reach._is_heavy(test)


def test_what_reaches_for_none_is_for_the_fast_gate():
    assert not reach._is_heavy(waits)


@pytest.fixture
def prepared(tmp_path):
    return by_another(tmp_path)


@pytest.fixture
def further(prepared):
    return prepared


@pytest.mark.whole
def test_a_fixture_of_a_fixture_counts(request, further):
    assert reach.needs_the_whole_gate(request.node)


def test_it_is_not_all_of_them(request):
    assert not reach.needs_the_whole_gate(request.node)


@pytest.mark.slow
def test_marks_count(request):
    assert reach.needs_the_whole_gate(request.node)
