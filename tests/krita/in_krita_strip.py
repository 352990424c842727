"""Runs inside the real Krita: the strip of a run, by keys; see `test_real_strip`."""

import os
import zipfile

from PyQt5.QtCore import QByteArray, QEvent, QPointF, Qt
from PyQt5.QtGui import QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QApplication

SIDE = 96
PREFIX = "velatura-recipe-"


def recipes_in(path):
    """The ids of the layers whose recipes a .kra has."""
    with zipfile.ZipFile(path) as file:
        return {name.rpartition(PREFIX)[2] for name in file.namelist() if PREFIX in name}


def point(cells, at):
    """Moves the pointer over a place of the strip; None: away from it."""
    if at is None:
        QApplication.sendEvent(cells, QEvent(QEvent.Leave))
        return
    where = QPointF(cells.visualItemRect(cells.item(at)).center())
    moved = QMouseEvent(QEvent.MouseMove, where, Qt.NoButton, Qt.NoButton, Qt.NoModifier)
    QApplication.sendEvent(cells.viewport(), moved)


def press(cells, kind, key):
    QApplication.sendEvent(cells, QKeyEvent(kind, key, Qt.NoModifier))


def drive(t):
    docker = t.docker("velatura_docker")
    control = lambda name: t.widget(docker, name)  # noqa: E731
    yield t.until(lambda: control("run").isEnabled(), 60, "the daemon")
    document = t.document(SIDE, SIDE, name="strip")
    source = document.rootNode().childNodes()[0]
    pixels = b"".join(bytes((40 + y, 90, 200 - y, 255)) * SIDE for y in range(SIDE))
    source.setPixelData(QByteArray(pixels), 0, 0, SIDE, SIDE)
    document.refreshProjection()
    yield 0.5
    layers = next(d for d in t.krita.dockers() if d.objectName() == "KisLayerBox")
    t.window.qwindow().resizeDocks([layers, docker], [t.args["width"]] * 2, Qt.Orientation.Horizontal)
    t.window.qwindow().resizeDocks([layers, docker], [150, 650], Qt.Orientation.Vertical)
    control("method").setCurrentIndex(control("method").findData("blended-latent-diffusion"))
    control("prompt").setPlainText("a hat")
    control("variations").setValue(4)
    control("steps").setValue(4)
    control("run").click()
    cells = control("strip")
    yield t.until(lambda: cells.count() and control("strip.says").text(), 300, "the first candidate")
    t.note(first=[cells.item(i).data(Qt.UserRole) for i in range(cells.count())])
    yield t.until(lambda: "variations above" in control("status").text(), 300, "the layers")
    yield 1
    group = document.rootNode().childNodes()[-1]
    shown = lambda: [i for i, n in enumerate(reversed(group.childNodes())) if n.visible()]  # noqa: E731
    order = lambda: [cells.item(i).data(Qt.UserRole) for i in range(cells.count())]  # noqa: E731

    def keys(step):
        cells.setFocus()
        t.step(step)
        return t.until(lambda: os.path.exists(t.path(step)), 60, f"the keys of {step!r}")

    area = cells.parentWidget()
    while not area.inherits("QScrollArea"):
        area = area.parentWidget()
    area.ensureWidgetVisible(control("strip.says"))
    yield 0.5
    t.screenshot("docker.png", docker)
    t.note(begin=[shown(), order()], width=docker.width())
    plain = t.window.qwindow()
    t.screenshot("plain.png", plain)
    point(cells, 2)
    yield 2  # its pixels are fetched
    t.screenshot("over.png", plain)
    t.note(pointed=[shown(), len(group.childNodes())])
    point(cells, None)
    yield 0.3
    t.screenshot("away.png", plain)
    press(cells, QEvent.KeyPress, Qt.Key_B)
    yield 0.5
    t.screenshot("before.png", plain)
    t.note(held=group.visible())
    press(cells, QEvent.KeyRelease, Qt.Key_B)
    yield t.until(group.visible, 30, "the result again")
    yield keys("right")
    yield t.until(lambda: shown() == [1], 30, "the second")
    yield keys("drop")
    yield t.until(lambda: cells.count() == 3, 30, "three places")
    t.note(dropped=[len(group.childNodes()), shown(), order()])
    yield keys("undo")
    yield t.until(lambda: cells.count() == 4, 30, "the dropped one")
    yield t.until(lambda: shown() == [1], 30, "the dropped one on the canvas")
    t.note(undone=[len(group.childNodes()), order()])
    t.screenshot("starred.png", docker)
    t.note(words=cells.currentItem().data(Qt.AccessibleTextRole))
    yield keys("several")
    yield t.until(lambda: "layer of its own" in control("status").text(), 30, "the copy")
    t.note(several=[(n.type(), n.visible()) for n in document.rootNode().childNodes()], next=shown())
    yield keys("more")
    two = lambda: sum(n.type() == "grouplayer" for n in document.rootNode().childNodes())  # noqa: E731
    yield t.until(lambda: two() == 2, 300, "more like it")
    yield t.until(lambda: "4 variations above" in control("status").text(), 60, "the end of the run")
    t.note(more=[len(group.childNodes()), shown(), document.activeNode().name()], order=order())
    tried = document.rootNode().childNodes()[-1].uniqueId()
    ids = {n.uniqueId().toString().strip("{}") for n in document.nodeByUniqueID(tried).childNodes()}
    yield keys("keep")
    yield t.until(lambda: "is kept as one layer" in control("status").text(), 60, "the kept one")
    t.note(kept=[node.type() for node in document.rootNode().childNodes()])
    path = str(t.path("strip.kra"))
    document.setBatchmode(True)
    t.trigger("edit_undo")
    yield t.until(lambda: document.nodeByUniqueID(tried) is not None, 30, "the undone one")
    t.note(saved=document.saveAs(path), lacks=sorted(ids - recipes_in(path)))  # in the very turn
    t.trigger("edit_redo")
    yield t.until(lambda: document.nodeByUniqueID(tried) is None, 30, "the kept one again")
    t.note(saved_again=document.save())
    yield 2.5
    t.note(modified=document.modified(), recipes=len(recipes_in(path)))
    document.setModified(False)  # a question of Krita's would stop everything
    document.close()
    yield 0.5
    document = t.open(path)
    yield 2.5
    left = [name for name in document.annotationTypes() if name.startswith(PREFIX)]
    t.note(opened=len(left), changed_by_opening=document.modified())
    history = control("history")
    control("history.header").click()
    model = history.model()
    yield t.until(lambda: model.rowCount() == 8, 30, "the history of the file")
    history.setCurrentIndex(model.index(6))
    t.note(rows=[model.index(i).data() for i in range(8)], says=control("history.says").text())
    control("history.again").click()
    t.note(prompt=control("prompt").toPlainText(), seed=control("seed").value())
    area.ensureWidgetVisible(control("history.says"))
    yield 0.5
    t.screenshot("history.png", docker)
