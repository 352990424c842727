"""`velatura bench resample` measures both ways; whether the goal is met is no matter of a test."""

import json

import pytest

from velatura.cli.main import main
from velatura_lab.bench import resample


def test_both_ways_give_the_same_bytes(capsys):
    small = ["--side", "16", "--width", "70", "--height", "50", "--band", "7", "--repeats", "1"]
    assert main(["bench", "resample", *small]) in (0, None)
    assert "16 x 16 enlarged to 70 x 50 in 8 bands" in (said := capsys.readouterr().out)
    assert "the same bytes" in said
    resample.main([*small, "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["same_bytes"] and figures["bands"] == 8
    assert figures["goal"] == pytest.approx(1 / 3)


def test_other_bytes_are_told(monkeypatch):
    monkeypatch.setattr(resample, "resize", lambda picture, size, rows: picture[rows])
    figures = resample.measure(8, (12, 12), 4, 1)
    assert not figures["same_bytes"] and "OTHER BYTES" in resample.report(figures)
