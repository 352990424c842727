"""Runs inside the real Krita: a method with a third raster, and a list whose entries have one."""

import json

SIDE = 64
GREY, BLUE, WHITE = bytes((100, 100, 100, 255)), bytes((200, 0, 0, 255)), bytes((255, 255, 255, 255))


class Docker:
    """The docker's controls, by their object names."""

    def __init__(self, t):
        self.t = t
        self.docker = t.docker("velatura_docker")

    def __getitem__(self, name):
        return self.t.widget(self.docker, name)

    def entry(self, number, name):
        """A part of an entry of the list."""
        return self.t.widget(self[f"concepts.{number}"], name)

    def choose(self, combo, title):
        """As a person does: opened, chosen, closed. Returns what there was to choose from."""
        combo.showPopup()
        combo.hidePopup()
        offered = [combo.itemText(at) for at in range(combo.count())]
        combo.setCurrentIndex(combo.findText(title))
        return offered

    def said(self, words, seconds=240):
        return self.t.until(lambda: words in self["status"].text(), seconds, f"status {words!r}")


def painted(document, name, pixel, x, y, width, height):
    from PyQt5.QtCore import QByteArray

    node = document.createNode(name, "paintlayer")
    document.rootNode().addChildNode(node, None)
    node.setPixelData(QByteArray(pixel * (width * height)), x, y, width, height)
    return node


def result(document):
    """The newest variation, right above the source."""
    groups = [node for node in document.rootNode().childNodes() if node.type() == "grouplayer"]
    return groups[-1].childNodes()[-1]


def recipe_of(document, node):
    name = "velatura-recipe-" + node.uniqueId().toString().strip("{}")
    return json.loads(bytes(document.annotation(name)))["recipe"]


def drive(t):
    from PyQt5.QtCore import QByteArray

    from krita import Selection

    d = Docker(t)
    yield t.until(lambda: d["run"].isEnabled(), 60, "the daemon")
    document = t.document(SIDE, SIDE)
    yield 0.3
    source = document.rootNode().childNodes()[0]
    source.setPixelData(QByteArray(GREY * (SIDE * SIDE)), 0, 0, SIDE, SIDE)
    segments = painted(document, "Segments", BLUE, 0, 0, SIDE // 2, SIDE)
    spot = painted(document, "Spot", WHITE, 40, 40, 16, 16)
    for node in (segments, spot):
        node.setVisible(False)
    document.refreshProjection()
    yield 0.5  # a layer that was added becomes the active one a moment later
    document.setActiveNode(source)
    yield 0.3

    d["method"].setCurrentIndex(d["method"].findData("arrange"))
    d["run"].click()
    yield d.said("needs", 20)
    t.note(missing=d["status"].text())
    t.note(offered=d.choose(d["input.segments"], "Segments"))
    d["concepts.add"].click()
    d["concepts.add"].click()
    d.entry(0, "text").setText("nothing")
    d.entry(0, "amount").setValue(0.0)
    d.entry(1, "text").setText("light")
    t.note(offered_to_entry=d.choose(d.entry(1, "where"), "Spot"))
    d["concepts.1.up"].click()
    t.note(order=[d.entry(0, "text").text(), d.entry(1, "text").text()])
    yield 0.3
    t.screenshot("rasters.png", d.docker)
    d["run"].click()
    yield d.said("1 variation above")
    yield 0.3
    layer = result(document)
    t.note(
        left=list(bytes(layer.pixelData(10, 10, 1, 1))), right=list(bytes(layer.pixelData(50, 10, 1, 1))),
        spot=list(bytes(layer.pixelData(48, 48, 1, 1))), recipe=recipe_of(document, layer),
    )  # fmt: skip

    # another entry takes the selection
    selection = Selection()
    selection.select(0, 0, 16, SIDE, 255)
    document.setSelection(selection)
    d.choose(d.entry(0, "where"), "The selection")
    document.setActiveNode(source)
    yield 0.3
    d["status"].clear()
    d["run"].click()
    yield d.said("1 variation above")
    yield 0.3
    layer = result(document)
    t.note(selected=list(bytes(layer.pixelData(8, 30, 1, 1))), bounds=layer.bounds().getRect())

    # back from the result: the layers are found by their names, or are asked for
    d["input.segments"].setCurrentIndex(0)
    document.setActiveNode(layer)
    yield t.until(lambda: d["adjust"].isEnabled(), 60, "adjust")
    d["adjust"].click()
    yield d.said("run them again", 20)
    t.note(again=[d["input.segments"].currentText(), d.entry(0, "where").currentText()])
    segments.setName("Parts")
    document.setActiveNode(layer)
    yield 0.3
    d["status"].clear()
    d["adjust"].click()
    yield d.said("no layer of that name", 20)
    t.note(lost=d["status"].text(), left_open=d["input.segments"].currentText())
