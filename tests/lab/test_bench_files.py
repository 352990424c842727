"""`velatura bench files` measures what it says; whether the goal is met is no matter of a test."""

import json

import pytest

from velatura_lab.bench import files

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def test_only_the_part_is_sent_and_each_run_has_its_figures(capsys):
    files.main(["--side", "1100", "--width", "30", "--height", "20", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["runs"]) == {"bare", "png", "ora"}
    assert all(run["seconds"] > 0 and run["peak_bytes"] > 1e6 for run in figures["runs"].values())
    part = 128 * 128 * 8 + 30 * 20
    assert figures["spool_bytes"] == part < figures["whole_bytes"] == 1100 * 1100 * 8
    assert "0.1 MB   (the whole layer: 10 MB)" in files.report(figures)
