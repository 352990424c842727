"""What comes from another version: recipes of the first one, recipes and answers that make no sense."""

import json

import pytest

from tests.krita.schemas import METHOD, known
from tests.protocol.small_daemon import SmallDaemon
from tests.protocol.test_requests import OLD

pytestmark = pytest.mark.timeout(120)


def annotate(document, text):
    """Make the layer 'other' a result: of the first version, or of whoever wrote `text`."""
    from PyQt6.QtCore import QByteArray
    from velatura_krita.recipes import DESCRIPTION, key

    node = document.rootNode().childNodes()[1]
    document.setAnnotation(key(node), DESCRIPTION, QByteArray(text.encode()))
    document.setActiveNode(node)


@pytest.mark.parametrize("kept", OLD, ids=lambda kept: json.loads(kept["gimp"])["method"])
def test_a_recipe_of_the_first_version_fills_the_form(desks, tmp_path, stack, kept):
    recipe = json.loads(kept["krita"])["recipe"]
    desk = desks(tmp_path / "state")
    desk.session.state.set_known(known(METHOD, METHOD | {"id": recipe["method"], "title": "Of old"}))
    annotate(stack, kept["krita"])
    desk.until(lambda: desk["adjust"].isEnabled())
    desk["adjust"].click()
    assert desk["method"].currentText() == "Of old" and desk["prompt"].toPlainText() == recipe["prompt"]
    assert desk["seed"].value() == recipe["seed"] and desk["variations"].value() == recipe["variations"]
    steps = recipe["parameters"].get("steps", METHOD["parameters"]["properties"]["steps"]["default"])
    assert desk["steps"].value() == steps


def test_a_recipe_that_cannot_be_read_is_a_sentence_and_changes_nothing(desks, tmp_path, stack):
    desk = desks(tmp_path / "state")
    desk.session.state.set_known(known(METHOD))
    desk["prompt"].setPlainText("a hat")
    annotate(stack, json.dumps({"recipe": {"velatura": 1, "method": "every-kind"}, "source": "x"}))
    desk.until(lambda: desk["adjust"].isEnabled())
    before = stack.activeNode()
    desk["adjust"].click()
    assert desk["status"].text() == "This layer's recipe cannot be read; make the edit anew."
    assert desk["prompt"].toPlainText() == "a hat" and stack.activeNode() is before


def test_an_answer_that_cannot_be_read_is_a_sentence_until_a_better_one_comes(desks, tmp_path):
    with SmallDaemon(tmp_path) as daemon:
        daemon.script["methods"] = lambda *_: {"type": "methods", "digest": "", "methods": [{}], "models": []}
        desk = desks(tmp_path)
        desk.until(lambda: "could not be read; update Velatura" in desk["daemon"].text())
        assert not desk["run"].isEnabled()
        better = {"type": "methods", "digest": "", "methods": [METHOD], "models": []}
        daemon.script["methods"] = lambda *_: better
        desk.until(lambda: desk["run"].isEnabled())
        assert desk["method"].currentText() == "Every kind"
