"""Runs inside the real Krita: the list of methods, opened, and gone through with keys."""

import contextlib

KEYS = ("Key_Down", "Key_Down", "Key_Down", "Key_Home")


def long_list(t, docker):
    """What the daemon offers, and as many methods as no screen is high."""
    state = docker.widget().session.state
    from velatura_krita.velatura_protocol.catalogue import Catalogue

    state.set_known(Catalogue.from_wire(t.args["answer"]))


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
    long_list(t, docker)
    box.showPopup()
    popup, bar = box.view().window(), box.view().verticalScrollBar()
    size = QGuiApplication.primaryScreen().size()
    t.note(popup=shape(popup), screen=[size.width(), size.height()], scrolls=bar.maximum() > 0)
    t.screenshot("open.png", popup)
    box.hidePopup()
