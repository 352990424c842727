"""`velatura bench flow` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest

from velatura.cache.cache import Cache
from velatura_lab.bench.flow import Edits, main


@pytest.mark.slow
def test_the_figures_are_whole(capsys):
    asked = ["--steps", "2", "--repeat", "1", "--side", "8", "--device", "cpu"]
    assert main([*asked, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 2 and figures["latents"][1:] == [8, 8]
    for name in ("seconds", "ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    assert figures["kept_mib"] == pytest.approx(2 * 16 * 8 * 8 * 4 / 2**20)
    assert main(asked) == 0
    assert "the dial moved" in capsys.readouterr().out


def test_what_is_measured_is_the_edit_itself(any_model):
    edits = Edits.of(any_model, 3)
    first = edits.slide(Cache(), 2.0)
    assert first.shape == edits.latents.shape and not first.equal(edits.latents)
    assert edits.slide(Cache(), 0.0).equal(edits.latents)
