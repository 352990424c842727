"""A method with a third raster and a list whose entries have one, in the real GIMP."""

from __future__ import annotations

import json

import pytest

from tests.gimp.conftest import INSIDE, PLUGIN, install, wait_until
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
    assert scripted["refused"] == "“Arrange” needs “Segments”; choose a layer for it."
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


ADD = f"""
import sys
sys.path.insert(0, {str(INSIDE)!r})
import pictures
from gi.repository import Gimp

def run(t):
    (image,) = Gimp.get_images()
    (source,) = image.get_layers()
    kind = Gimp.ImageType.RGBA_IMAGE
    layer = Gimp.Layer.new(image, "Segments", 40, 96, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    pictures.fill(layer, "R'G'B'A u8", bytes((200, 0, 0, 255)))
    layer.set_visible(False)
    image.set_selected_layers([source])
"""  # a segmentation above the picture that is open


@pytest.fixture(scope="module")
def sitting(sit, finding):
    """What the widgets do, and a run from the dialog by the keyboard."""
    with sit(finding, {"velatura-arrange": "<Primary><Shift>F12"}) as window:
        plugin = window.session.profile / "plug-ins" / PLUGIN.name
        found = {"widgets": window.python(INSIDE / "raster_lists.py", plugin=str(plugin))}
        window.python(ADD)
        window.keys("ctrl+shift+F12")
        dialog = window.wait_window(r"Arrange")
        window.display.xdotool("mousemove", 5, 900)
        window.keys("alt+e", "Down", window=dialog)  # the layers of the picture, from the top
        window.keys("alt+t", "Down", "Down", window=dialog)
        window.screenshot("arrange.png")
        window.keys("alt+u", window=dialog)
        found["run"] = wait_until(window, lambda seen: seen["groups"])
        yield found


@pytest.fixture
def widgets(sitting):
    return sitting["widgets"]


def test_layers_are_chosen_in_the_dialog(sitting):
    recipe = json.loads(sitting["run"]["recipes"][0])
    given = [(name, raster) for name, raster in recipe["inputs"].items() if raster]
    named = {name: raster["layer"] for name, raster in given if "layer" in raster}
    assert named["segments"] == "Segments" and named["style"] not in ("", "Segments")


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


def test_the_next_picture_does_not_begin_with_the_layers_of_the_last_one(widgets):
    _, following, again = widgets["pictures"]
    assert following[0] == "" and json.loads(following[1]) == [{"text": "a", "where": None}]
    assert again[0] == "layer.Segments" and json.loads(again[1]) == [{"text": "a", "where": "layer.Spot"}]
