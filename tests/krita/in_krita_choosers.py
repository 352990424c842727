"""Runs inside the real Krita: the list of methods, opened, and gone through with keys."""

import contextlib

KEYS = (*["Key_Down"] * 7, "Key_Home")


def long_list(t, docker):
    """What the daemon offers, and as many methods as no screen is high."""
    state = docker.widget().session.state
    from velatura_krita.velatura_protocol.catalogue import Catalogue

    state.set_known(Catalogue.from_wire(t.args["answer"]))


def paint_on_nothing(t, docker):
    """A whole picture on a layer that has no paint yet, in a document that has none."""
    document = t.document(80, 64)
    layer = document.createNode("empty", "paintlayer")
    document.rootNode().addChildNode(layer, None)
    yield 0.5  # a layer that was added becomes the active one a moment later
    document.setActiveNode(layer)
    yield 0.5
    box, status = (t.widget(docker, name) for name in ("method", "status"))
    box.setCurrentIndex(box.findData("paint"))
    t.widget(docker, "prompt").setPlainText("a hat")
    t.widget(docker, "run").click()
    yield t.until(lambda: "variation above" in status.text() or "empty" in status.text(), 240, "a picture")
    yield 0.3
    made = [node for node in document.rootNode().childNodes() if node.type() == "grouplayer"]
    t.note(said=status.text(), bounds=[list(node.bounds().getRect()) for node in made])


def shape(widget):
    rect = widget.frameGeometry()
    return [rect.left(), rect.top(), rect.right(), rect.bottom()]


def drive(t):
    from PyQt5.QtCore import QEvent, Qt
    from PyQt5.QtGui import QGuiApplication, QKeyEvent
    from PyQt5.QtWidgets import QApplication

    with contextlib.suppress(AttributeError):
        t.window.qwindow().setGeometry(0, 0, *t.args["size"])
    docker = t.docker("velatura_docker")
    run, box, model = (t.widget(docker, name) for name in ("run", "method", "model"))
    yield t.until(lambda: run.isEnabled(), 60, "the daemon")
    rows = [(box.itemText(row), box.itemData(row)) for row in range(box.count())]
    t.note(rows=rows, first=box.currentData())
    seen = []
    for key in KEYS:
        for kind in (QEvent.KeyPress, QEvent.KeyRelease):
            QApplication.sendEvent(box, QKeyEvent(kind, getattr(Qt, key), Qt.NoModifier))
        seen.append(box.currentData())
    t.note(keys=seen)
    note = t.widget(docker, "model.note")
    box.setCurrentIndex(box.findData("exaggerate"))
    yield 0.5
    t.note(lacked=[model.currentData(), note.text(), note.isVisible()])
    t.screenshot("lacked.png", docker)
    box.setCurrentIndex(box.findData("sdedit"))
    t.note(own=[model.currentData(), note.isVisible()])
    yield from paint_on_nothing(t, docker)
    long_list(t, docker)
    box.showPopup()
    popup, bar = box.view().window(), box.view().verticalScrollBar()
    size = QGuiApplication.primaryScreen().size()
    t.note(popup=shape(popup), screen=[size.width(), size.height()], scrolls=bar.maximum() > 0)
    t.screenshot("open.png", popup)
    box.hidePopup()
