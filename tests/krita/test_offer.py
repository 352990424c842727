"""A slider that is kept while Krita runs is in the form at once, and the form keeps what is entered."""

from __future__ import annotations

import pytest
import torch
from PyQt6 import QtWidgets

from tests.daemon_fixture import Daemon
from tests.tiny_styles import tiny_styles
from velatura.models import catalogue
from velatura.shelf import Dial, Shelf

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def state_dir(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    catalogue.add(folder, "faces", str(tiny_styles(tmp_path / "faces")))
    with Daemon(folder, prestart=False):
        yield folder


def titles(desk):
    combo = desk.panel.findChild(QtWidgets.QComboBox, "dial")
    return [combo.itemText(i) for i in range(combo.count())] if combo else []


def test_a_kept_slider_comes_into_the_open_form(desks, state_dir, until):
    desk = desks(state_dir)
    until(lambda: desk["method"].findData("face-dials") >= 0)
    desk["method"].setCurrentIndex(desk["method"].findData("face-dials"))
    desk["dials.add"].click()
    shipped = titles(desk)
    assert shipped[0] == "(choose a slider)" and "Hat" in shipped
    (entry,) = desk.panel.controls.form.values()["dials"]
    entered = [{**entry, "amount": -35.0}]
    desk.panel.controls.form.set_values({**desk.panel.controls.form.values(), "dials": entered})
    kept = Dial("", "Dimples", "blake2b:of it", "vector", {"ws": torch.ones(2, 3)}, {})
    id = Shelf(state_dir / "shelf").keep(kept)
    until(lambda: any(title.startswith("Dimples") for title in titles(desk)))
    (added,) = (title for title in titles(desk) if title.startswith("Dimples"))
    assert desk.panel.controls.form.values()["dials"] == entered
    assert "What changes" in desk["dials"].toolTip()
    desk.panel.findChild(QtWidgets.QComboBox, "dial").setCurrentText(added)
    assert desk.panel.controls.form.values()["dials"] == [{"dial": id, "amount": -35.0}]
