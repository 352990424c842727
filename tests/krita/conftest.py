"""The plugin imported beside a Krita that is not there, on Qt 6 without a screen."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6 import QtCore, QtWidgets

from tests.krita import fake_krita
from tests.krita.desk import Desk
from tests.krita.fake_krita import SIDE, SRGB, Document
from tests.krita.plugin import put_plugin
from tests.patience import patience


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The plugin's folder, importable as `velatura_krita`."""
    folder = put_plugin(tmp_path_factory.mktemp("pykrita"))
    fake_krita.install()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def application() -> QtWidgets.QApplication:
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["tests"])


@pytest.fixture
def krita(plugin: Path, application: QtWidgets.QApplication) -> fake_krita.Krita:
    """An empty Krita."""
    fake_krita.Krita._instance = None
    return fake_krita.Krita.instance()


@pytest.fixture
def until(application: QtWidgets.QApplication) -> Callable[..., None]:
    """`until(condition)` runs the event loop until it holds, at most `seconds`."""

    def wait(condition: Callable[[], object], seconds: float = 60) -> None:
        timer = QtCore.QDeadlineTimer(int(patience(seconds) * 1000))
        while not condition():
            assert not timer.hasExpired(), "waited in vain"
            application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)

    return wait


def networks_end(seconds: float = 60) -> bool:
    """Whether no network thread outlives its session; closing one waits a second at most, this longer."""
    networks = [thread for thread in threading.enumerate() if thread.name == "velatura-network"]
    for network in networks:
        network.join(patience(seconds))
    return not any(network.is_alive() for network in networks)


@pytest.fixture
def desks(krita, until):
    made: list[Desk] = []

    def make(state_dir, serve=()) -> Desk:
        made.append(Desk(krita, state_dir, until, serve))
        return made[-1]

    yield make
    for desk in made:
        desk.close()
    assert networks_end()


@pytest.fixture
def document(krita) -> Document:
    document = Document(SIDE, SIDE, "picture", "RGBA", "U8", SRGB)
    node = document.createNode("source", "paintlayer")
    document.rootNode().addChildNode(node, None)
    node.setPixelData(bytes((90, 120, 200, 255)) * SIDE * SIDE, 0, 0, SIDE, SIDE)
    document.undo_steps.clear()
    krita.open.append(document)
    return document


@pytest.fixture
def stack(krita) -> Document:
    """An open document with two empty layers, 'source' and above it 'other'."""
    document = Document(32, 24, "picture", "RGBA", "U8", SRGB)
    krita.open.append(document)
    for name in ("source", "other"):
        document.rootNode().addChildNode(document.createNode(name, "paintlayer"), None)
    document.undo_steps.clear()
    return document
