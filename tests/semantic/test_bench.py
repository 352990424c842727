"""`velatura bench guided` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest

from velatura_lab.bench.guided import main


@pytest.mark.slow
def test_the_figures_are_whole(capsys):
    asked = ["--steps", "5", "--repeat", "1", "--side", "8", "--device", "cpu"]
    assert main([*asked, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 5 and figures["latents"][1:] == [8, 8]
    for name in ("seconds", "ratios", "processor_ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    assert len(figures["seconds"]) == 3 * 5
