"""The sections of the menu, and a method that the chosen model lacks."""

from __future__ import annotations

import json

import pytest

from tests.daemon_fixture import Daemon
from tests.gimp.conftest import INSIDE, install, wait_until
from tests.hosts.gimp import GimpSession
from tests.more_methods import environment
from tests.more_methods.velatura_examples import eigenpictures

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]

MENU = "<Image>/Filters/Velatura"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, tiny_folder):
    """A daemon whose second model is of another kind, which one method needs."""
    state_dir = tmp_path_factory.mktemp("gimp-mixed") / "state"
    eigen = eigenpictures.write(state_dir.parent / "eigen")
    models = [("tiny", tiny_folder), ("eigen", eigen)]
    state_dir.mkdir()
    listed = [{"id": id, "title": id.title(), "path": str(folder)} for id, folder in models]
    (state_dir / "models.json").write_text(json.dumps(listed), "utf-8")
    with Daemon(state_dir, environment(), prestart=False) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def found(gimp_host, mixed, tmp_path_factory):
    with GimpSession(gimp_host, tmp_path_factory.mktemp("sections"), binds=[mixed.state_dir]) as session:
        install(session, mixed.state_dir, offered_by=mixed)
        models = ["default", "eigen", "tiny"]
        yield session.python(INSIDE / "sections.py", run="velatura-exaggerate", models=models)


def test_a_method_stands_in_the_sub_menu_of_its_section(found):
    menus = found["menus"]
    assert menus["velatura-flow-align"] == [f"{MENU}/Change by words"]
    assert menus["velatura-flow-slider"] == [f"{MENU}/Change by degrees"]
    assert menus["velatura-word-map"] == menus["velatura-shades"] == [f"{MENU}/Select"]
    assert menus["velatura-exaggerate"] == [f"{MENU}/More ways to edit"]
    assert menus["velatura-rerun"] == menus["velatura-refresh"] == [MENU]


def test_a_picture_is_painted_on_a_layer_without_paint(found):
    assert found["painted"] == ["success", "", [40, 32]]


@pytest.mark.parametrize("model", ["default", "eigen"])
def test_without_a_named_model_the_first_that_can_runs_it(found, model):
    status, error, recipes = found[model]
    assert (status, error) == ("success", "")
    assert json.loads(recipes[0])["model"]["id"] == "eigen"


def test_a_script_that_names_a_model_which_cannot_is_refused(found):
    status, error, _ = found["tiny"]
    assert status != "success" and "needs a model of eigenpictures, and 'Tiny' is a diffusion model" in error


def test_the_dialog_says_which_model_it_takes_and_runs_with_it(sit, mixed):
    with sit(mixed, {"velatura-exaggerate": "<Primary><Shift>F12"}) as window:
        window.keys("ctrl+shift+F12")
        dialog = window.wait_window("Exaggerate")
        window.rest(mixed.pid)
        window.screenshot("note.png")
        window.keys("Return", window=dialog)
        made = wait_until(window, lambda found: len(found["groups"]) == 1)
    assert json.loads(made["recipes"][0])["model"]["id"] == "eigen"
