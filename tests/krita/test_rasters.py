"""Rasters in the docker: layers are offered by name, read when the edit runs, and entries of a list move."""

from __future__ import annotations

import pytest
from PyQt6 import QtWidgets

from tests.krita.fake_krita import SIDE, Selection


@pytest.fixture
def method(plugin):
    from velatura_krita.velatura_protocol.catalogue import MethodInfo

    from tests.more_methods.velatura_examples.arrange import Arrange
    from velatura.methods.registry import describe

    return MethodInfo.from_wire(describe(Arrange()))


@pytest.fixture
def layered(document):
    """The document with a layer more, in a group, and one of another kind."""
    root = document.rootNode()
    group = document.createNode("Sketches", "grouplayer")
    root.addChildNode(group, None)
    segments = document.createNode("Segments", "paintlayer")
    group.addChildNode(segments, None)
    segments.setPixelData(bytes((1, 2, 3, 255)) * 16, 4, 6, 4, 4)
    root.addChildNode(document.createNode("soft", "transparencymask"), None)
    document.active = root.childNodes()[0]
    return document


def run(steps):
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def identifier(document, name):
    from velatura_krita.rasters import layers

    return next(id for id, called in layers(document) if called == name)


def test_layers_are_offered_from_the_top_with_those_in_groups(layered):
    from velatura_krita.rasters import layers

    assert [name for _, name in layers(layered)] == ["Sketches", "Segments", "source"]
    layered.rootNode().childNodes()[1].pass_through = True
    assert [name for _, name in layers(layered)] == ["Segments", "source"]
    assert layers(None) == []


def wish(method, document, **values):
    from velatura_krita.wish import Wish

    parameters = {"input.segments": f"layer.{identifier(document, 'Segments')}", **values}
    return Wish(method, "", "", 3, 1, parameters)


def test_what_is_chosen_is_read_beside_the_layer(method, layered):
    from velatura_krita.capture import capture

    layered.chosen = Selection(2, 3, 5, 4)
    entry = {"text": "x", "amount": 1.0, "where": "selection"}
    asked = wish(method, layered, concepts=[entry])
    captured = run(capture(layered, method, False, lambda _: None, asked.further))
    segments, where = captured.inputs["segments"], captured.inputs["concepts.1.where"]
    assert (segments.rect, segments.channels, segments.layer) == ((4, 6, 4, 4), "BGRA", "Segments")
    assert bytes(segments.data) == bytes((1, 2, 3, 255)) * 16
    assert (where.rect, where.channels, where.layer) == ((2, 3, 5, 4), "A", "")
    assert captured.inputs["source"].rect == (0, 0, SIDE, SIDE)
    assert asked.edit.parameters["concepts"] == [{**entry, "where": "concepts.1.where"}]
    request = asked.edit.on(captured.inputs, captured.canvas).to_wire()
    assert request["inputs"]["segments"]["layer"] == "Segments"


def test_what_cannot_be_read_is_said_of_the_raster(method, layered):
    from velatura_krita.capture import capture
    from velatura_krita.velatura_protocol.errors import VelaturaError

    def refusal(**values):
        with pytest.raises(VelaturaError) as raised:
            run(capture(layered, method, False, lambda _: None, wish(method, layered, **values).further))
        return raised.value.message

    entry = {"text": "x", "amount": 1.0}
    assert refusal(concepts=[{**entry, "where": "selection"}]).startswith("“Concepts 1, Where”: Nothing is")
    gone = {"input.segments": "layer.00000000-0000-0000-0000-000000000000"}
    assert refusal(**gone) == "“Segments”: The layer is not in this picture any more; choose another one."


def test_a_form_offers_what_there_is_when_it_is_opened(method, layered, application):
    from velatura_krita.form import Form

    there = [("1", "Sky"), ("2", "Parts")]
    form = Form(list(method.form), (), lambda: there)
    combo = form.findChild(QtWidgets.QComboBox, "input.segments")
    assert [combo.itemText(at) for at in range(combo.count())] == ["Choose a layer…", "Sky", "Parts"]
    assert form.values()["input.segments"] is None and form.is_default()
    form.set_values({"input.segments": "layer.2"})
    assert combo.currentText() == "Parts" and form.values()["input.segments"] == "layer.2"
    there.insert(0, ("3", "New"))
    combo.opens()
    assert combo.itemText(1) == "New" and combo.currentText() == "Parts"
    there.pop()
    combo.opens()
    assert form.values()["input.segments"] is None
    form.set_values({"input.segments": "layer.gone"})
    assert form.values()["input.segments"] is None


def test_entries_of_a_list_are_moved(method, application):
    from velatura_krita.form import Form

    form = Form(list(method.form), (), lambda: [("1", "Sky")])
    given = (("a", None), ("b", "layer.1"), ("c", None))
    entries = [{"text": text, "amount": 1.0, "where": where} for text, where in given]
    form.set_values({"concepts": entries})

    def button(name):
        return form.findChild(QtWidgets.QToolButton, f"concepts.{name}")

    moved = []
    form.slid.connect(lambda: moved.append(1))
    assert not button("0.up").isEnabled() and not button("2.down").isEnabled()
    button("1.up").click()
    assert [e["text"] for e in form.values()["concepts"]] == ["b", "a", "c"]
    assert form.values()["concepts"][0]["where"] == "layer.1"
    button("1.down").click()
    button("2.remove").click()
    assert [e["text"] for e in form.values()["concepts"]] == ["b", "c"] and len(moved) == 3
    shown = form.basic.editors["concepts"]
    assert [shown.column.itemAt(at).widget() for at in range(2)] == shown.entries
