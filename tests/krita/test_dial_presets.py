"""Presets of dials: kept, loaded, deleted, exchanged in files; on Qt 6 without a screen."""

import json

from PyQt6 import QtCore, QtWidgets

from tests.krita.turning import choose, controls, entry, field, slid, titles, values
from velatura_protocol.presets import DELETED, EXPORTED, KEPT, Presets

__all__ = ["controls", "slid"]


def menu(controls, name="dials.presets"):
    button = field(controls, name)
    button.fill()
    return {action.text(): action for action in button.menu().actions() if action.text()}


def test_presets_are_kept_loaded_and_deleted(controls, slid):
    button = field(controls, "dials.presets")
    assert not menu(controls)["Save as…"].isEnabled() and not menu(controls)["Export…"].isEnabled()
    several = [entry("short", "long"), entry(more="hat", strength=-1.0)]
    controls.prompts.dials.set_value(several)
    button.attempt(button.shelf.save, "Hair & hat")
    assert controls.state.status == KEPT.format("Hair & hat")
    controls.prompts.dials.set_value([])
    menu(controls)["Hair && hat"].trigger()
    assert values(controls) == several and len(slid) == 1
    button.attempt(button.shelf.delete, "Hair & hat")
    assert controls.state.status == DELETED.format("Hair & hat")
    assert "Hair && hat" not in menu(controls) and values(controls) == several
    button.attempt(button.shelf.load, "Hair & hat")
    assert controls.state.status_bad and values(controls) == several


def test_presets_are_exchanged_in_files(controls, tmp_path):
    button = field(controls, "dials.presets")
    controls.prompts.dials.set_value([entry("short", "long")])
    path = tmp_path / "Hair.json"
    button.attempt(button.shelf.export_to, str(path))
    assert controls.state.status == EXPORTED.format("Hair.json")
    controls.prompts.dials.set_value([])
    button.attempt(button.shelf.add_from, str(path))
    assert controls.state.status == KEPT.format("Hair")
    assert titles(controls) == ["short → long"] and "Hair" in menu(controls)
    path.write_text("something else")
    button.attempt(button.shelf.add_from, str(path))
    assert controls.state.status_bad and "holds no dials" in controls.state.status
    assert titles(controls) == ["short → long"]
    strong = entry("short", "long", strength=600.0)
    path.write_text(json.dumps({"velatura-dials": 1, "name": "Strong", "dials": [strong]}))
    button.attempt(button.shelf.add_from, str(path))
    assert "'Strong' do not fit" in controls.state.status and "short → long: " in controls.state.status
    button.attempt(button.shelf.export_to, str(tmp_path / "none" / "Hair.json"))
    assert controls.state.status_bad


def answer(application, text=None, button=None):
    """Answer the next dialog."""

    def act():
        dialog = application.activeModalWidget()
        if text is not None:
            dialog.setTextValue(text)
            dialog.accept()
        else:
            dialog.button(button).click()

    QtCore.QTimer.singleShot(0, act)


def test_a_name_is_asked_for_and_nothing_is_replaced_unasked(controls, application):
    buttons = QtWidgets.QMessageBox.StandardButton
    controls.prompts.dials.set_value([entry("short", "long")])
    answer(application, "Hair")
    menu(controls)["Save as…"].trigger()
    assert field(controls, "dials.presets").shelf.names() == ["Hair"]
    controls.prompts.dials.set_value([entry(more="hat")])

    def save_again(reply):
        def name():
            dialog = application.activeModalWidget()
            answer(application, button=reply)
            dialog.setTextValue("hair")
            dialog.accept()

        QtCore.QTimer.singleShot(0, name)
        menu(controls)["Save as…"].trigger()

    kept = Presets(controls.folder)
    save_again(buttons.Cancel)
    assert kept.load("Hair", controls.prompts.dials.spec) == [entry("short", "long")]
    save_again(buttons.Yes)
    assert kept.load("Hair", controls.prompts.dials.spec) == [entry(more="hat")]
    delete = next(a for a in menu(controls).values() if a.menu() is not None).menu().actions()[0]
    answer(application, button=buttons.Cancel)
    delete.trigger()
    assert kept.names() == ["hair"]
    answer(application, button=buttons.Yes)
    delete.trigger()
    assert kept.names() == []


def test_whole_settings_are_kept_and_put_back_without_the_picture(controls, tmp_path):
    button, prompts = field(controls, "presets"), controls.prompts
    choose(controls, "lead")
    prompts.source.set_value("a woman")
    prompts.edit.setPlainText("a hat")
    controls.seed.setValue(7)
    prompts.dials.set_value([entry("short", "long", strength=2.0)])
    assert button.shelf.proposed == "a hat"
    button.attempt(button.shelf.save, "Evening")
    assert controls.state.status == "These settings are kept as 'Evening'."
    path = tmp_path / "Evening.json"
    button.attempt(button.shelf.export_to, str(path))
    assert "a woman" not in path.read_text()  # what the layer shows is the picture's
    choose(controls, "weigh")
    prompts.edit.setPlainText("something")
    controls.seed.setValue(-1)
    menu(controls, "presets")["Evening"].trigger()
    assert (controls.method.currentData(), prompts.text(), controls.seed.value()) == ("lead", "a hat", 7)
    assert values(controls) == [entry("short", "long", strength=2.0)]
    prompts.source.set_value("a man")
    button.attempt(button.shelf.add_from, str(path))
    assert prompts.caption() == "a man" and button.shelf.names() == ["Evening"]  # the same once
    path.write_text(path.read_text().replace('"lead"', '"unheard-of"'))
    button.attempt(button.shelf.add_from, str(path))
    assert controls.state.status_bad and "is not here" in controls.state.status
    assert controls.method.currentData() == "lead" and prompts.text() == "a hat"
