"""A method with a third raster and a list whose entries have one, run from the real Krita."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon_fixture import Daemon
from tests.more_methods import environment

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("in_krita_rasters.py")


def near(pixel, wanted):
    return max(abs(a - b) for a, b in zip(pixel[:3], wanted, strict=True)) <= 6


def test_layers_and_the_selection_are_chosen_by_name(krita_session, state_dir):
    with Daemon(state_dir, environment()):
        found = krita_session().window(SCRIPT, timeout=600)
    assert found["missing"] == "“Arrange” needs “Segments”; choose a layer for it."
    assert found["offered"] == ["Choose a layer…", "Spot", "Segments", "Background"]
    assert found["offered_to_entry"] == ["None", "The selection", "Spot", "Segments", "Background"]
    assert found["order"] == ["light", "nothing"]
    assert near(found["left"], (125, 75, 75)) and near(found["right"], (100, 100, 100))
    assert near(found["spot"], (255, 255, 255))
    recipe = found["recipe"]
    assert [entry["text"] for entry in recipe["parameters"]["concepts"]] == ["light", "nothing"]
    assert recipe["parameters"]["concepts"][0]["where"] == "concepts.1.where"
    given = [(name, raster) for name, raster in recipe["inputs"].items() if raster]
    named = {name: raster["layer"] for name, raster in given if "layer" in raster}
    assert named == {"segments": "Segments", "concepts.1.where": "Spot"}
    assert near(found["selected"], (255, 255, 255)) and found["bounds"] == [0, 0, 16, 64]
    assert found["again"] == ["Segments", "The selection"]
    assert "choose one for “Segments” (it was 'Segments')" in found["lost"]
    assert found["left_open"] == "Choose a layer…"
