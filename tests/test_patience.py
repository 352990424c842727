"""Every test has a limit that a slow machine keeps."""

from __future__ import annotations

import pytest

from tests.patience import PATIENCE, patience


@pytest.mark.timeout(7)
def test_a_tests_own_limit_is_stretched(request):
    assert request.node.get_closest_marker("timeout").args == (7 * PATIENCE,)


def test_the_usual_limit_is_stretched(request):
    usual = float(request.config.getini("timeout"))
    assert request.node.get_closest_marker("timeout").args == (patience(usual),)
