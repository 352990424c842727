"""`velatura bench wire` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json

import pytest

from velatura_lab.bench.wire import main, report


@pytest.mark.timeout(180)
def test_the_figures_are_whole(tiny_folder, capfd):
    assert main(["--json", "--side", "512", "--repeat", "1", "--model", str(tiny_folder)]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert figures["bytes"] == 2**20
    for transport in ("ipc", "tcp"):
        measured = figures[transport]
        for name in ("pyzmq", "stdlib"):
            spent = [measured["seconds"][f"{name}_{kind}"] for kind in ("up", "down", "hashing", "spooling")]
            assert min(spent) >= 0
        assert measured["control_ms"]["quiet"]["n"] > 0
    assert figures["cancel"].get("steps", 0) > 0 or figures["cancel"]["not_measured"]
    assert "Unix sockets" in report(figures)
    assert "Loopback TCP" in report(figures)
