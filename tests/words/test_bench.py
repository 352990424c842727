"""`velatura bench words` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest

from velatura.bench.words import main


@pytest.mark.timeout(240)
def test_the_figures_are_whole(capsys):
    assert main(["--json", "--steps", "2", "--repeat", "1", "--device", "cpu"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 2
    assert min(figures["seconds"].values()) > 0
    assert figures["features_mib"] > 0
    assert 0 < figures["share_of_matrix_rate"] < 1.5
    assert set(figures["peak_mib"]) == {"plain", "edit", "explicit"}
