"""A method with a third raster and a list whose entries have one, in the real GIMP."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import INSIDE, PLUGIN, install
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

LAYERS = ["Spot", "Segments", "source"]


def near(pixel, wanted):
    return max(abs(a - b) for a, b in zip(pixel[:3], wanted, strict=True)) <= 6


@pytest.fixture(scope="module")
def scripted(gimp_host, finding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    with GimpSession(gimp_host, folder / "gimp", binds=[finding.state_dir]) as session:
        install(session, finding.state_dir, offered_by=finding)
        return session.python(INSIDE / "rasters.py", timeout=400)


def test_a_script_names_layers_for_the_method_and_for_its_entries(scripted):
    assert scripted["refused"] == "Compose needs “Segments”; choose a layer for it."
    assert (scripted["status"], scripted["error"]) == ("success", "")
    assert near(scripted["left"], (125, 75, 75)) and near(scripted["right"], (100, 100, 100))
    assert near(scripted["spot"], (255, 255, 255))


def test_the_recipe_names_them(scripted):
    recipe = scripted["recipe"]
    assert recipe["parameters"]["concepts"][0]["where"] == "concepts.1.where"
    assert recipe["parameters"]["concepts"][1]["where"] is None
    given = [(name, raster) for name, raster in recipe["inputs"].items() if raster]
    named = {name: raster["layer"] for name, raster in given if "layer" in raster}
    assert named == {"segments": "Segments", "concepts.1.where": "Spot"}


def test_it_runs_again_where_the_layers_are_there(scripted):
    error, pixel = scripted["again"]
    assert error == "" and near(pixel, (125, 75, 75))


def test_the_selection_serves_as_a_mask(scripted):
    error, pixel = scripted["selection"]
    assert error == "" and near(pixel, (255, 255, 255))
    assert scripted["nothing"].startswith("“Concepts 1, Where”: Nothing is selected; select something")


def test_a_layer_that_is_gone_is_asked_for_and_can_be_named(scripted):
    assert "choose one for “Segments” (it was 'Segments')" in scripted["lost"]
    error, pixel = scripted["named"]
    assert error == "" and near(pixel, (125, 75, 75))


@pytest.fixture(scope="module")
def widgets(sit, finding):
    with sit(finding, {}) as window:
        plugin = window.session.profile / "plug-ins" / PLUGIN.name
        return window.python(INSIDE / "raster_lists.py", plugin=str(plugin))


def test_a_form_offers_the_layers_of_the_picture(widgets):
    assert widgets["offered"] == ["Choose a layer…", *LAYERS]
    assert widgets["stale"] == ""
    assert widgets["kept"] == "layer.Segments" and widgets["by_name"] == "Spot"


def test_an_entry_offers_the_selection_too_and_keeps_its_layer_when_it_is_moved(widgets):
    assert widgets["offered_to_entry"] == ["None", "The selection", *LAYERS]
    assert widgets["gone"] is None
    assert widgets["moved"] == ["layer.Spot", None]
    assert widgets["renamed"] == ["None", "The selection", "Dot", "Segments", "source"]
    assert widgets["left"] == "None"
